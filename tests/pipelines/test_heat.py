from __future__ import annotations

import numpy as np
import pytest
import torch

from vidcam.maps import normalise_per_clip, upsample_volume
from vidcam.pipelines.heat import heat_on, normalised_heat


@pytest.mark.parametrize(("grid", "size"), [((2, 7, 7), (16, 30, 41)), ((1, 3, 2), (1, 9, 9)), ((5, 4), (20, 33))])
def test_torch_and_numpy_make_the_same_heat(grid: tuple[int, ...], size: tuple[int, ...]) -> None:
    volumes = np.random.default_rng(0).random((4, *grid), dtype=np.float32)
    volumes[1] = 0.0
    volumes[2] = 0.25
    volumes[3] *= 1e-20
    expected = normalise_per_clip(upsample_volume(volumes, size))
    assert (expected[1] == 0).all()
    assert (expected[2] == 1).all()
    np.testing.assert_allclose(normalised_heat(torch.from_numpy(volumes), size).numpy(), expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(heat_on(volumes, size, torch.zeros(1)).numpy(), expected)


def test_the_dtype_is_that_of_the_input() -> None:
    assert heat_on(np.ones((1, 2, 2, 2)), (4, 4, 4), torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
