"""Test whether two methods differ: Wilcoxon signed-rank test on paired differences, with Holm's correction.

Every result names the test. It is two-sided and has one difference per group: clips of one scene are not independent,
so their mean is used. Differences of zero are left out. As in `scipy.stats.wilcoxon`, p is exact for up to 50 groups
without ties among the absolute differences, and uses the normal approximation otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vidcam.metrics.faithfulness import without_rounding

Names = Sequence[str] | NDArray[np.generic]
"""Names or numbers of groups, one a clip."""

TEST = (
    "Wilcoxon signed-rank, two-sided, on group means of log(O_a/O_b) at equal area, mean over θ = 0.25, 0.5 and 0.75; "
    "Holm-corrected over the pairs"
)


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The result of the test.

    Attributes:
        p_value: 1 if all differences are zero, NaN if there is no group.
        groups: number of groups whose difference is not zero.
    """

    p_value: float
    groups: int


def group_means(values: NDArray[np.float64], groups: Names) -> NDArray[np.float64]:
    """Return the mean of each group's clips, groups in the order of their names.

    Args:
        values: (N,).
        groups: N names, or numbers.

    Returns:
        (G,).
    """
    _, owner = np.unique(np.asarray(groups), return_inverse=True)
    return np.asarray(np.bincount(owner, weights=values) / np.bincount(owner))


def signed_rank(differences: NDArray[np.float64], groups: Names) -> PairedTest:
    """Test whether the clips' differences (N,), log ratios, are centred on zero; each group counts once."""
    if not differences.size:
        return PairedTest(float("nan"), 0)
    means = group_means(without_rounding(differences), groups)
    means = means[means != 0]
    if not means.size:
        return PairedTest(1.0, 0)
    return PairedTest(float(stats.wilcoxon(means).pvalue), int(means.size))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests, in the same order (Holm 1979); NaN stays NaN and is not counted."""
    corrected = np.asarray(p_values, dtype=np.float64)
    valid = np.flatnonzero(~np.isnan(corrected))
    order = valid[np.argsort(corrected[valid], kind="stable")]
    stepped = corrected[order] * np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return [float(value) for value in corrected]
