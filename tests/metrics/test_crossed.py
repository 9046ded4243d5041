"""Intervals over raters and clips: the variance of a mean is known, so is what happens without a second rater."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.metrics.crossed import Statistic, crossed_intervals

RATERS, CLIPS = np.divmod(np.arange(20 * 30), 30)


def mean_of(values: NDArray[np.float64]) -> Statistic:
    return lambda weights: (weights @ values / weights.sum(axis=1))[:, None]


def width(values: NDArray[np.float64], seed: int = 0) -> float:
    found = crossed_intervals(mean_of(values), RATERS, CLIPS, np.random.default_rng(seed), resamples=2000)
    assert found.value[0] == pytest.approx(values.mean())
    return float(found.high[0] - found.low[0])


def test_effects_of_raters_and_of_clips_both_count() -> None:
    random = np.random.default_rng(5)
    by_rater, by_clip = random.normal(size=20), random.normal(size=30)
    # Of raters alone: Student's interval of 20 means. V_raters has exactly that variance, the others none.
    expected = 2 * 2.093 * by_rater.std(ddof=1) / np.sqrt(20)
    assert width(by_rater[RATERS]) == pytest.approx(expected, rel=0.06)
    both = np.sqrt(by_rater.var(ddof=1) / 20 + by_clip.var(ddof=1) / 30)
    assert width(by_rater[RATERS] + by_clip[CLIPS]) == pytest.approx(2 * 2.03 * both, rel=0.08)


def test_noise_is_not_counted_twice() -> None:
    """Without effects, V_raters, V_clips and V_pairs are equal: the interval is about that of independent answers."""
    widths = [width(np.random.default_rng(seed).normal(size=600), seed) for seed in range(8)]
    assert np.mean(widths) == pytest.approx(2 * 2.1 / np.sqrt(600), rel=0.25)


def test_one_rater_gives_no_interval() -> None:
    found = crossed_intervals(mean_of(np.arange(5.0)), np.zeros(5, int), np.arange(5), np.random.default_rng(0))
    assert found.value[0] == 2.0
    assert np.isnan([found.low[0], found.high[0]]).all()


def test_a_value_that_is_not_defined_stays_so() -> None:
    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full((len(weights), 1), np.nan)

    found = crossed_intervals(statistic, RATERS, CLIPS, np.random.default_rng(0), resamples=10)
    assert np.isnan([found.value[0], found.low[0], found.high[0]]).all()


def test_what_is_refused() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(ShapeError, match="raters and clips"):
        crossed_intervals(mean_of(np.zeros(3)), np.zeros(3, int), np.zeros(2, int), random)
    with pytest.raises(InputError, match="resamples"):
        crossed_intervals(mean_of(np.zeros(3)), np.zeros(3, int), np.zeros(3, int), random, resamples=1)
