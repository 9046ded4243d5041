from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.faithfulness import kept_by_rank
from vidcam.errors import ShapeError
from vidcam.metrics.order import frame_order, rank_ties, ranks_of, tie_field, voxel_order


def test_most_important_voxels_come_last() -> None:
    heat = np.array([[[0.5, 0.0]], [[0.0, 1.0]]])
    ties = np.array([[[0.1, 0.9]], [[0.2, 0.3]]])
    assert voxel_order(heat, ties).tolist() == [2, 1, 0, 3]
    assert ranks_of(voxel_order(heat, ties), heat.shape).tolist() == [[[2, 1]], [[0, 3]]]


def test_frames_are_ordered_by_their_mean() -> None:
    heat = np.array([[[0.2, 0.2]], [[0.9, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]])
    ties = np.array([0.0, 0.0, 0.7, 0.3])[:, None, None] * np.ones((4, 1, 2))
    assert frame_order(heat, ties).tolist() == [3, 2, 0, 1]


@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_equals_a_plain_sort(levels: int) -> None:
    generator = np.random.default_rng(levels)
    heat = generator.integers(0, levels, (3, 4, 5)) / levels
    ties = generator.random((3, 4, 5)).round(1)
    kept = ranks_of(voxel_order(heat, ties), heat.shape).numpy() >= 60 - 23
    assert sorted(map(tuple, np.argwhere(kept).tolist())) == sorted(kept_by_rank(heat, ties, 60 - 23))


@pytest.mark.parametrize("least", [0.0, -1.0])
def test_float32_and_float64_have_the_same_order(least: float) -> None:
    generator = np.random.default_rng(7)
    heat = generator.choice([0.0, -0.0, 1e-45, 1e-30, 0.25, 0.5, 1.0, least], (4, 6, 7)).astype(np.float32)
    ties = generator.random((4, 6, 7), dtype=np.float32).round(1)
    double = voxel_order(heat.astype(np.float64), ties.astype(np.float64))
    assert voxel_order(heat, ties).tolist() == double.tolist()


def test_ranked_ties_can_be_reused() -> None:
    generator = np.random.default_rng(8)
    ties = generator.random((4, 6, 7), dtype=np.float32).round(1)
    ranked = rank_ties(ties)
    for levels in (1, 4, 1000):
        heat = (generator.integers(0, levels, (4, 6, 7)) / levels).astype(np.float32)
        assert voxel_order(heat, ranked).tolist() == voxel_order(heat, ties).tolist()


def test_tie_field_is_seeded_and_smooth() -> None:
    field, again = (tie_field((2, 3, 3), (8, 24, 24), np.random.default_rng(4)) for _ in range(2))
    other_seed = tie_field((2, 3, 3), (8, 24, 24), np.random.default_rng(5))
    np.testing.assert_array_equal(field, again)
    assert field.shape == (8, 24, 24)
    assert not np.array_equal(field, other_seed)
    assert np.abs(np.diff(field, axis=2)).max() < 0.2  # neighbours are alike


def test_ties_of_an_empty_map_spread_over_all_frames() -> None:
    ties = tie_field((2, 4, 4), (8, 16, 16), np.random.default_rng(0))
    kept = ranks_of(voxel_order(np.zeros((8, 16, 16)), ties), (8, 16, 16)).numpy() >= 8 * 16 * 16 // 2
    assert kept.mean(axis=(1, 2)).min() > 0.1
    assert kept.mean(axis=(1, 2)).max() < 0.9


def test_ties_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"same shape \(T, H, W\), got heat.shape = \(2, 2, 2\)"):
        voxel_order(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))
