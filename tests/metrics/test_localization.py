from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import InputError, ShapeError
from vidcam.metrics.localization import DELTAS, energy, localization, pointing


def test_localization_at_three_thresholds() -> None:
    heat = np.array([0.0, 0.2, 0.25, 0.3, 0.6, 1.0]).reshape(1, 1, 1, 6)
    inside = np.array([True, False, True, False, True, True]).reshape(heat.shape)
    got = [float(localization(heat, inside, delta)[0]) for delta in DELTAS]
    assert got == pytest.approx([3 / (4 + 2), 2 / (4 + 1), 2 / 4])  # heat equal to δ is not kept


def test_a_map_equal_to_the_boxes_scores_1_and_an_empty_map_0() -> None:
    inside = np.zeros((2, 3, 4, 4), np.bool_)
    inside[:, 1:, :2, :2] = True
    heat = inside.astype(np.float32)
    heat[1] = 0.0
    for delta in DELTAS:
        assert localization(heat, inside, delta).tolist() == [1.0, 0.0]


def test_localization_equals_intersection_over_union_in_a_plain_loop() -> None:
    generator = np.random.default_rng(1)
    heat, inside = generator.random((15, 2, 3, 4)), generator.random((15, 2, 3, 4)) < 0.4
    inside[:, 0, 0, 0] = True
    for clip, region, got in zip(heat, inside, localization(heat, inside, 0.5), strict=True):
        kept = {index for index, value in np.ndenumerate(clip) if value > 0.5}
        boxes = {index for index, flag in np.ndenumerate(region) if flag}
        assert got == pytest.approx(len(kept & boxes) / len(kept | boxes))


@pytest.mark.parametrize("delta", [-0.1, 1.0, float("nan")])
def test_delta_outside_its_range(delta: float) -> None:
    with pytest.raises(InputError, match=rf"delta is {delta}, expected 0 <= delta < 1; GC\+\+ uses 0\.0"):
        localization(np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1), np.bool_), delta)


def test_pointing_with_one_several_and_no_maxima() -> None:
    heat = np.zeros((4, 2, 1, 3))
    heat[0, 1, 0, 2] = 1.0  # one maximum, inside
    heat[1, 0, 0, 0] = 1.0  # one, outside
    heat[2, :, 0, 2] = heat[2, 0, 0, 0] = 1.0  # three, one of them inside
    inside = np.zeros(heat.shape, np.bool_)
    inside[:, 1, 0, 1:] = True
    np.testing.assert_allclose(pointing(heat, inside), [1, 0, 1 / 3, 0])  # the last is empty


def test_pointing_of_a_constant_map_is_the_share_of_the_region() -> None:
    inside = np.zeros((1, 4, 5, 5), np.bool_)
    inside[0, :2, :, 0] = True
    assert pointing(np.ones(inside.shape, np.float32), inside)[0] == pytest.approx(10 / 100)


def test_pointing_equals_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    heat = generator.integers(0, 4, (20, 2, 3, 3)) / 3.0
    inside = generator.random(heat.shape) < 0.3
    inside[:, 0, 0, 0] = True
    for clip, region, got in zip(heat, inside, pointing(heat, inside), strict=True):
        hits = [bool(flag) for value, flag in zip(clip.flat, region.flat, strict=True) if value == max(clip.flat)]
        assert got == pytest.approx(sum(hits) / len(hits))


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        (np.ones((2, 2, 3, 4), np.bool_), r"must both be \(N, T, H, W\), inside bool, got heat.shape = \(2, 2, 3, 3\)"),
        (np.ones((2, 2, 3, 3)), "inside.dtype = dtype"),
        (np.arange(36).reshape(2, 2, 3, 3) < 18, r"inside must have a voxel in every clip, got none in clips \[1\]"),
    ],
)
def test_invalid_regions(inside: np.ndarray, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        pointing(np.ones((2, 2, 3, 3)), inside)


def test_energy_of_a_small_map() -> None:
    heat = np.array([[0.5, 1.0, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]]).reshape(2, 2, 1, 2)
    inside = np.array([[False, True, True, False], [True, True, False, False]]).reshape(heat.shape)
    np.testing.assert_allclose(energy(heat, inside), [1.25 / 2.0, 0.0])


def test_energy_of_a_flat_map_is_the_share_of_the_region_at_any_scale() -> None:
    generator = np.random.default_rng(2)
    inside = generator.random((3, 2, 5, 5)) < 0.3
    flat = energy(np.full(inside.shape, 0.7, np.float32), inside)
    np.testing.assert_allclose(flat, inside.mean(axis=(1, 2, 3)), rtol=1e-6)
    heat = generator.random(inside.shape)
    np.testing.assert_allclose(energy(3.0 * heat, inside), energy(heat, inside))
    total = energy(heat, inside) + energy(heat, ~inside)
    np.testing.assert_allclose(total, 1.0)


def test_energy_equals_a_plain_loop() -> None:
    generator = np.random.default_rng(3)
    heat, inside = generator.random((10, 2, 3, 3)), generator.random((10, 2, 3, 3)) < 0.5
    inside[:, 0, 0, 0] = True
    for clip, region, got in zip(heat, inside, energy(heat, inside), strict=True):
        within = sum(value for value, flag in zip(clip.flat, region.flat, strict=True) if flag)
        assert got == pytest.approx(within / sum(clip.flat))
