from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.faithfulness import area_by_trapezes, kept_by_rank
from vidcam.errors import InputError
from vidcam.metrics.order import ranks_of, voxel_order
from vidcam.metrics.retention import GRID_THETAS, area_under, hidden_count, keep_top, retention, tied_share

SIZE = (2, 3, 4)


def test_retention_of_small_numbers() -> None:
    left = retention(np.log([0.8, 0.5]), np.log([0.2, 0.6]))
    np.testing.assert_allclose(left, [0.25, 1.2])


@pytest.mark.parametrize("theta", GRID_THETAS)
def test_keep_top_keeps_the_voxels_above_the_quantile(theta: float) -> None:
    generator = np.random.default_rng(0)
    heat, ties = generator.integers(0, 5, SIZE) / 5, generator.random(SIZE)
    kept = keep_top(ranks_of(voxel_order(heat, ties), SIZE), theta).numpy()
    expected = kept_by_rank(heat, ties, round(theta * 24))
    assert sorted(map(tuple, np.argwhere(kept).tolist())) == sorted(expected)


def test_ties_alone_decide_on_a_constant_map() -> None:
    ties = np.random.default_rng(0).random(SIZE)
    order = voxel_order(np.ones(SIZE), ties)
    assert order.tolist() == np.argsort(ties, axis=None).tolist()
    assert tied_share(np.ones(SIZE), order, 0.5) == 1.0


def test_tied_share_counts_voxels_equal_to_the_cut() -> None:
    heat = np.array([0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0]).reshape(2, 2, 2)
    order = voxel_order(heat, np.zeros_like(heat))
    assert [tied_share(heat, order, theta) for theta in (0.0, 0.25, 0.5, 0.625, 0.75, 1.0)] == [
        0.0,
        0.5,
        0.0,
        0.25,
        0.0,
        0.0,
    ]


def test_area_equals_trapezoids_and_a_constant_is_its_own_area() -> None:
    shares, values = np.array([0.0, 0.3, 0.4, 1.0]), np.random.default_rng(1).random((2, 4))
    areas = area_under(shares, values)
    assert areas.tolist() == pytest.approx([area_by_trapezes(shares.tolist(), row) for row in values.tolist()])
    assert area_under(np.array([0.25, 0.75]), np.array([3.0, 3.0])) == 3.0


@pytest.mark.parametrize("theta", [-0.1, 1.5, float("nan")])
def test_theta_outside_its_range(theta: float) -> None:
    with pytest.raises(InputError, match=r"theta is .*, expected 0 <= theta <= 1"):
        hidden_count(theta, 10)


@pytest.mark.parametrize("shares", [[0.5], [0.0, 0.0], [1.0, 0.0]])
def test_shares_must_increase(shares: list[float]) -> None:
    with pytest.raises(InputError, match="two or more numbers that increase"):
        area_under(np.array(shares), np.zeros(len(shares)))
