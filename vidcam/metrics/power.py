"""How many groups of clips the signed-rank test needs: to show anything at all, and to show the difference seen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vidcam.errors import InputError
from vidcam.metrics.faithfulness import without_rounding
from vidcam.metrics.paired import Names, group_means

POWER = 0.8
"""Probability of showing a difference that is there."""


def smallest_p(groups: int) -> float:
    """Return the smallest p of the exact two-sided test: all differences have one sign."""
    return min(1.0, 2.0 ** (1 - groups))


def least_groups(level: float) -> int:
    """Return the number of groups with which p can be below a level in (0, 1).

    Raises:
        InputError: the level is outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level is {level}, expected 0 < level < 1")
    return math.floor(1.0 - math.log2(level)) + 1


def groups_needed(differences: NDArray[np.float64], groups: Names, *, level: float, power: float = POWER) -> int | None:
    """Estimate the number of groups with which the two-sided signed-rank test shows a difference like the one seen.

    Noether (JASA 82, 1987): (z(1 - level/2) + z(power))² / (3 (p - 1/2)²), where p is the probability that the sum of
    two differences is positive. It is estimated from all pairs of groups, so that one extreme clip does not decide it.

    Args:
        differences: (N,), one a clip.
        groups: N names or numbers; the test uses the mean of each group.
        level: of the test, in (0, 1).
        power: probability of showing the difference, in (0, 1).

    Returns:
        At least `least_groups(level)`; None if no difference was seen, or with fewer than two groups.
    """
    if not differences.size:
        return None
    means = group_means(without_rounding(differences), groups)
    if len(means) < 2:
        return None
    positive = _positive_pairs(means)
    if positive == 0.5:
        return None
    quantiles = float(stats.norm.ppf(1.0 - level / 2.0) + stats.norm.ppf(power))
    return max(least_groups(level), math.ceil(quantiles**2 / (3.0 * (positive - 0.5) ** 2)))


def _positive_pairs(values: NDArray[np.float64]) -> float:
    """Return the share of the pairs with a positive sum; a sum of zero counts half, NaN not at all."""
    ordered = np.sort(values[~np.isnan(values)])
    not_above = np.searchsorted(ordered, -ordered, side="right")  # a + b > 0 exactly if b > -a
    below = np.searchsorted(ordered, -ordered, side="left")
    above = (int((len(ordered) - not_above).sum()) - int((ordered > 0).sum())) // 2  # each pair once, none with itself
    zero = (int((not_above - below).sum()) - int((ordered == 0).sum())) // 2
    pairs = len(values) * (len(values) - 1) // 2
    return above / pairs + zero / pairs / 2
