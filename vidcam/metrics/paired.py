"""Do two methods differ? The Wilcoxon signed-rank test on paired differences, groups counting once; Holm's correction.

The test is stated wherever its result is: two-sided, on one difference a group (clips of one scene are no independent
samples, so their mean stands for them), differences of zero left out, exact up to 50 groups without ties among the
absolute differences and by the normal approximation otherwise, as `scipy.stats.wilcoxon` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vidcam.metrics.faithfulness import without_rounding

TEST = "Wilcoxon signed-rank, two-sided, on group means of log(O_a/O_b); Holm-corrected over the pairs"


@dataclass(frozen=True, slots=True)
class PairedTest:
    """What the test found.

    Attributes:
        p_value: 1 where no difference is left, NaN where there is no group.
        groups: how many differences were not zero.
    """

    p_value: float
    groups: int


def group_means(values: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.float64]:
    """The mean of each group's clips, groups in alphabetical order.

    Args:
        values: (N,).
        groups: N names.

    Returns:
        (G,).
    """
    _, owner = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return np.asarray(np.bincount(owner, weights=values) / np.bincount(owner))


def signed_rank(differences: NDArray[np.float64], groups: Sequence[str]) -> PairedTest:
    """Test whether differences of clips (N,), log ratios, lie around zero, groups counting once."""
    if not differences.size:
        return PairedTest(float("nan"), 0)
    means = group_means(without_rounding(differences), groups)
    means = means[means != 0]
    if not means.size:
        return PairedTest(1.0, 0)
    return PairedTest(float(stats.wilcoxon(means).pvalue), int(means.size))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that hold together, in the same order (Holm 1979); NaN stays NaN and is not counted."""
    found = np.asarray(p_values, dtype=np.float64)
    valid = np.flatnonzero(~np.isnan(found))
    order = valid[np.argsort(found[valid], kind="stable")]
    stepped = found[order] * np.arange(order.size, 0, -1)
    found[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return [float(value) for value in found]
