from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import InputError
from vidcam.metrics.localization import DELTAS, localization


def test_by_hand() -> None:
    heat = np.array([0.0, 0.2, 0.25, 0.3, 0.6, 1.0]).reshape(1, 1, 1, 6)
    inside = np.array([True, False, True, False, True, True]).reshape(heat.shape)
    got = [float(localization(heat, inside, delta)[0]) for delta in DELTAS]
    assert got == pytest.approx([3 / (4 + 2), 2 / (4 + 1), 2 / 4])  # heat equal to δ is not kept


def test_a_map_that_is_the_boxes_is_perfect_and_an_empty_one_is_nothing() -> None:
    inside = np.zeros((2, 3, 4, 4), np.bool_)
    inside[:, 1:, :2, :2] = True
    heat = inside.astype(np.float32)
    heat[1] = 0.0
    for delta in DELTAS:
        assert localization(heat, inside, delta).tolist() == [1.0, 0.0]


def test_is_intersection_over_union_as_a_plain_loop() -> None:
    generator = np.random.default_rng(1)
    heat, inside = generator.random((15, 2, 3, 4)), generator.random((15, 2, 3, 4)) < 0.4
    inside[:, 0, 0, 0] = True
    for clip, region, got in zip(heat, inside, localization(heat, inside, 0.5), strict=True):
        kept = {index for index, value in np.ndenumerate(clip) if value > 0.5}
        boxes = {index for index, flag in np.ndenumerate(region) if flag}
        assert got == pytest.approx(len(kept & boxes) / len(kept | boxes))


@pytest.mark.parametrize("delta", [-0.1, 1.0, float("nan")])
def test_a_threshold_out_of_range(delta: float) -> None:
    with pytest.raises(InputError, match=f"delta is {delta}, expected 0 <= delta < 1; the paper takes 0.0, 0.25, 0.5"):
        localization(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1), np.bool_), delta)
