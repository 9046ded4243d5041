from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.metrics.pointing import pointing, pointing_rate


def test_by_hand() -> None:
    heat = np.zeros((4, 2, 1, 3))
    heat[0, 1, 0, 2] = 1.0  # one maximum, inside
    heat[1, 0, 0, 0] = 1.0  # one, outside
    heat[2, :, 0, 2] = heat[2, 0, 0, 0] = 1.0  # three, one of them inside
    inside = np.zeros(heat.shape, np.bool_)
    inside[:, 1, 0, 1:] = True
    np.testing.assert_allclose(pointing(heat, inside), [1, 0, 1 / 3, 0])  # the last is empty
    assert pointing_rate(pointing(heat, inside)) == pytest.approx(100 * (4 / 3) / 4)


def test_a_constant_map_scores_the_volume_of_the_answer() -> None:
    inside = np.zeros((1, 4, 5, 5), np.bool_)
    inside[0, :2, :, 0] = True
    assert pointing(np.ones(inside.shape, np.float32), inside)[0] == pytest.approx(10 / 100)


def test_equals_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    heat = generator.integers(0, 4, (20, 2, 3, 3)) / 3.0
    inside = generator.random(heat.shape) < 0.3
    inside[:, 0, 0, 0] = True
    for clip, region, got in zip(heat, inside, pointing(heat, inside), strict=True):
        hits = [bool(flag) for value, flag in zip(clip.flat, region.flat, strict=True) if value == max(clip.flat)]
        assert got == pytest.approx(sum(hits) / len(hits))


@pytest.mark.parametrize(
    ("inside", "sentence"),
    [
        (np.ones((2, 2, 3, 4), np.bool_), r"of one shape \(N, T, H, W\), inside bool, got heat.shape = \(2, 2, 3, 3\)"),
        (np.ones((2, 2, 3, 3)), "inside.dtype = dtype"),
        (np.arange(36).reshape(2, 2, 3, 3) < 18, r"inside marks nothing in the clips \[1\], expected at least one"),
    ],
)
def test_regions_that_do_not_fit(inside: np.ndarray, sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        pointing(np.ones((2, 2, 3, 3)), inside)
