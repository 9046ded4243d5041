"""The numbers of clips that the signed-rank test needs."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from vidcam.errors import InputError
from vidcam.metrics.power import groups_needed, least_groups, smallest_p


@pytest.mark.parametrize("groups", [3, 6, 9])
def test_the_smallest_p_is_that_of_differences_of_one_sign(groups: int) -> None:
    assert smallest_p(groups) == stats.wilcoxon(np.arange(1.0, groups + 1)).pvalue


@pytest.mark.parametrize("level", [0.05, 0.01, 0.05 / 22, 0.25])
def test_the_least_number_of_groups_is_the_first_with_a_smaller_p(level: float) -> None:
    least = least_groups(level)
    assert smallest_p(least) < level <= smallest_p(least - 1)


def test_by_hand() -> None:
    """Of the six sums of two differences four are positive: p = 4/6, so n = (1.960 + 0.842)² / (3 / 36) = 94.2."""
    differences = np.array([3.0, 1.0, 2.0, -2.5])
    assert groups_needed(differences, list("abcd"), level=0.05) == 95
    assert groups_needed(np.array([3.0, 3.0, 1.0, 2.0, -2.5]), list("aabcd"), level=0.05) == 95
    assert groups_needed(np.array([1.0, 2.0, 3.0]), list("abc"), level=0.05) == 11  # 7.85 / 0.75
    assert groups_needed(np.array([1.0, 2.0, 3.0]), list("abc"), level=0.05 / 22) == 21
    assert groups_needed(np.array([1.0, -1.0]), list("ab"), level=0.05) is None
    assert groups_needed(np.array([1.0]), ["a"], level=0.05) is None
    with pytest.raises(InputError, match="level is 2"):
        least_groups(2.0)


def test_sums_are_counted_as_in_all_pairs() -> None:
    """The share of positive sums, p, is found again in (z + z)² / (3 (p - 1/2)²); values have ties, zeros and NaN."""
    generator = np.random.default_rng(0)
    quantiles = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    for _ in range(50):
        values = generator.integers(-3, 5, 12).astype(np.float64)
        values[generator.integers(12, size=2)] = np.nan
        first, second = np.triu_indices(12, k=1)
        sums = values[first] + values[second]
        share = np.mean(sums > 0) + np.mean(sums == 0) / 2
        expected = None if share == 0.5 else max(6, math.ceil(quantiles**2 / (3 * (share - 0.5) ** 2)))
        assert groups_needed(values, np.arange(12), level=0.05) == expected


def test_memory_does_not_grow_with_the_pairs() -> None:
    """20,000 groups have 200 million pairs."""
    tracemalloc.start()
    try:
        assert groups_needed(np.random.default_rng(0).normal(0.5, 1, 20_000), np.arange(20_000), level=0.05)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


EFFECT = 0.3
"""Mean of the normal differences, in standard deviations."""


def needed_for_normal_differences() -> int:
    differences = EFFECT + stats.norm.ppf((np.arange(1000) + 0.5) / 1000)
    needed = groups_needed(differences, [str(n) for n in range(1000)], level=0.05)
    assert needed is not None
    return needed


def test_the_test_has_the_power_that_was_asked_for() -> None:
    draws = np.random.default_rng(0).normal(EFFECT, 1.0, (2000, needed_for_normal_differences()))
    assert np.mean(stats.wilcoxon(draws, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.04)


def test_it_agrees_with_the_power_of_the_t_test() -> None:
    """On normal data the signed-rank test needs π/3 times as many clips (Noether's estimate is 5 % higher here)."""
    power = pytest.importorskip("statsmodels.stats.power")
    needed = power.TTestPower().solve_power(effect_size=EFFECT, alpha=0.05, power=0.8) * np.pi / 3
    assert needed_for_normal_differences() == pytest.approx(needed, rel=0.06)
