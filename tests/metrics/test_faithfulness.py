from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.faithfulness import geometric_mean_of_ratios
from vidcam.errors import ShapeError
from vidcam.metrics.faithfulness import (
    coverage,
    drop,
    increase,
    log_probability,
    log_ratio,
    relative_performance,
    win,
    win_rates,
)

logs = st.floats(-2000, 0)


def test_drop_by_hand() -> None:
    original, masked = np.log([0.8, 0.5, 0.5, 1.0]), np.log([0.2, 0.5, 0.9, 0.01])
    np.testing.assert_allclose(drop(original, masked), [0.75, 0, 0, 0.99], atol=1e-15)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(logs, logs), min_size=1, max_size=10))
def test_drop_stays_in_range(pairs: list[tuple[float, float]]) -> None:
    original, masked = np.array(pairs).T
    drops = drop(original, masked)
    assert drops.min() >= 0
    assert drops.max() <= 1
    assert (drops[masked >= original] == 0).all()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.floats(1e-3, 1), st.floats(1e-3, 1)), min_size=1, max_size=10))
def test_drop_equals_the_formula_as_a_plain_loop(pairs: list[tuple[float, float]]) -> None:
    shares = [max(0.0, before - after) / before for before, after in pairs]
    original, masked = np.log(np.array(pairs).T)
    np.testing.assert_allclose(drop(original, masked), shares, rtol=1e-9, atol=1e-14)


def test_drop_of_probabilities_that_underflow() -> None:
    original = np.array([-1000.0, -1000.0, -1000.0])
    masked = np.array([-1000.0 + np.log(0.25), -2000.0, -1.0])
    np.testing.assert_allclose(drop(original, masked), [0.75, 1, 0], atol=1e-12)


def test_tiny_drops_are_not_rounded_to_zero() -> None:
    assert drop(np.array([0.0]), np.array([-1e-18]))[0] == pytest.approx(1e-18)


def test_drop_without_loss_is_positive_zero() -> None:
    drops = drop(np.log([0.5, 0.5]), np.log([0.5, 0.9]))
    assert not np.signbit(drops).any()
    assert f"{100 * drops.mean():.1f}" == "0.0"


def test_log_probability_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]], dtype=torch.float64)
    np.testing.assert_allclose(log_probability(logits, np.array([1, 0])), np.log([0.75, 0.5]))


def test_log_probability_equals_a_plain_loop() -> None:
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    target = np.array([0, 3, 10, 10, 5, 1])
    rows = logits.tolist()
    expected = [row[c] - math.log(math.fsum(map(math.exp, row))) for row, c in zip(rows, target.tolist(), strict=True)]
    np.testing.assert_allclose(log_probability(logits, target), expected, rtol=1e-13)


def test_probabilities_of_all_classes_add_up_to_one() -> None:
    logits = 30 * torch.randn(1, 400, generator=torch.Generator().manual_seed(4))
    everyone = log_probability(logits.expand(400, 400), np.arange(400))
    assert float(np.exp(everyone).sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_extreme_logits_stay_finite(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1000.0, -1000.0, 0.0]] * 3, dtype=dtype)
    logs = log_probability(logits, np.array([0, 1, 2]))
    assert logs.dtype == np.float64
    np.testing.assert_array_equal(logs, [0, -2000, -1000])


def test_confidence_near_one_keeps_its_digits() -> None:
    """1 - p = 2e-9 is below the float32 resolution of p, not of log p in float64."""
    logits = torch.tensor([[20.0, 0.0]], dtype=torch.float32)
    assert log_probability(logits, np.array([0]))[0] == pytest.approx(-math.log1p(math.exp(-20)), rel=1e-9)


def test_logits_with_a_graph_stay_unchanged() -> None:
    logits = torch.tensor([[1.0, 2.0]], requires_grad=True)
    log_probability(logits, np.array([0]))
    assert logits.grad is None
    assert logits.tolist() == [[1.0, 2.0]]


def test_coverage_by_hand() -> None:
    assert coverage(np.array([[[0.0, 1.0]], [[0.5, 0.5]]])) == 0.5
    assert coverage(np.ones((2, 3, 4), np.float32)) == 1.0


def test_the_coverage_of_a_large_map_keeps_its_digits() -> None:
    assert coverage(np.full((16, 224, 224), 0.1, np.float32)) == pytest.approx(0.1, abs=1e-8)


def test_an_increase_is_more_than_rounding() -> None:
    increased = increase(np.full(4, np.log(0.5)), np.log(0.5) + np.array([0.0, 0.9e-5, 1.1e-5, -1.1e-5]))
    assert increased.dtype == np.bool_
    assert increased.tolist() == [False, False, True, False]


@pytest.mark.parametrize(("before", "after", "increased"), [(-2000.0, -1999.0, True), (-1999.0, -2000.0, False)])
def test_increase_of_probabilities_that_underflow(before: float, after: float, increased: bool) -> None:
    assert np.exp(before) == np.exp(after) == 0
    assert increase(np.array([before]), np.array([after])).tolist() == [increased]


def test_relative_performance_by_hand() -> None:
    """O_a is twice O_b on one clip and half of it on the other: the value is 1."""
    result = relative_performance(log_ratio(np.log([0.8, 0.1]), np.log([0.4, 0.2])))
    assert result.value == pytest.approx(1.0)
    assert result.log_mean == pytest.approx(0.0, abs=1e-15)
    assert result.log_std == pytest.approx(np.log(2) * np.sqrt(2))


def test_relative_performance_equals_the_root_of_the_product() -> None:
    a, b = np.random.default_rng(2).uniform(0.01, 1, (2, 12))
    assert relative_performance(log_ratio(np.log(a), np.log(b))).value == pytest.approx(
        geometric_mean_of_ratios(a.tolist(), b.tolist())
    )


def test_swapping_the_methods_inverts_relative_performance() -> None:
    a, b = np.log(np.random.default_rng(2).uniform(0.01, 1, (2, 12)))
    there, back = relative_performance(log_ratio(a, b)), relative_performance(log_ratio(b, a))
    assert there.value * back.value == pytest.approx(1)
    assert there.log_std == pytest.approx(back.log_std)


def test_log_std_of_one_clip_is_nan() -> None:
    assert np.isnan(relative_performance(np.array([0.3])).log_std)


def test_the_probability_floor_bounds_a_single_clip() -> None:
    """A sigmoid of the logit -1000 underflows; the floor is 1e-30."""
    ratios = log_ratio(np.array([-1000.0, -1000.0, np.log(0.5)]), np.array([np.log(0.5), -2000.0, np.log(0.5)]))
    assert ratios == pytest.approx([np.log(1e-30 / 0.5), 0.0, 0.0])
    assert np.isfinite(relative_performance(ratios).value)
    assert np.isnan(log_ratio(np.array([np.nan]), np.array([0.0]))).all()


def test_win_by_hand() -> None:
    won = win(np.array([0.1, 0.5, 0.0, 0.2]), np.array([0.2, 0.1, 0.0, 0.9]), np.ones(4))
    assert won.tolist() == [1, -1, 0, 1]
    wins = win_rates(won)
    assert (wins.a, wins.b, wins.ties) == (50.0, 25.0, 25.0)


def test_win_equals_a_plain_loop_and_is_antisymmetric() -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.random(200).round(1) for _ in range(2))
    ratios = np.log((2 - a) / (2 - b))
    wins, turned = win_rates(win(a, b, ratios)), win_rates(win(b, a, -ratios))
    assert wins.a == pytest.approx(100 * sum(x < y for x, y in zip(a, b, strict=True)) / 200)
    assert (turned.a, turned.b, turned.ties) == (wins.b, wins.a, wins.ties)
    assert wins.a + wins.b + wins.ties == pytest.approx(100)


def test_rounding_is_a_tie_and_saturated_drops_are_not() -> None:
    left_a, left_b = np.array([0.5, 3e-6, 0.5]), np.array([0.5 * (1 + 2e-6), 1e-6, 0.5 * (1 + 2e-5)])
    won = win(1 - left_a, 1 - left_b, np.log(left_a / left_b))
    assert won.tolist() == [0, 1, -1]


@pytest.mark.parametrize("sizes", [(3, 4, 3), (3, 3, 4)])
def test_win_needs_the_same_clips(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ShapeError, match="must have the same clips"):
        win(*(np.zeros(size) for size in sizes))
