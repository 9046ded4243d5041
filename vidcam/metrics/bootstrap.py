"""The uncertainty of a mean: percentile intervals from resampled clips, or from resampled groups of clips.

Clips cut from one film are no independent samples: with groups, whole groups are drawn, and the mean is that over all
clips of the groups drawn. The generator is the caller's, so that the same seed gives the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where it would lie in other samples; all three NaN where there is nothing to average.

    Attributes:
        value: mean over the clips.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def bootstrap_mean(
    values: NDArray[np.float64],
    generator: np.random.Generator,
    *,
    groups: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Mean of the clips' values with its percentile interval.

    Args:
        values: (N,), one value a clip; NaN where it is undefined, which is left out.
        generator: of the resampling; it is advanced.
        groups: N names; clips of one name are drawn together. None: every clip is a group of its own.
        resamples: how often.
        level: share of the resampled means that lie in the interval, in (0, 1).

    Raises:
        ShapeError: values are not (N,), or there is not one group a value.
        InputError: no resamples, or a level outside (0, 1).
    """
    if values.ndim != 1 or (groups is not None and len(groups) != len(values)):
        raise ShapeError(
            f"values must be (N,) with as many groups, got {values.shape = } and "
            f"{'no' if groups is None else len(groups)} groups"
        )
    if resamples < 1 or not 0.0 < level < 1.0:
        raise InputError(f"an interval needs resamples >= 1 and 0 < level < 1, got {resamples = }, {level = }")
    defined = ~np.isnan(values)
    if not defined.any():
        return Interval(np.nan, np.nan, np.nan)
    names = np.arange(len(values)) if groups is None else np.asarray(groups)
    sums, counts = _by_group(values[defined], names[defined])
    means = _resampled(sums, counts, generator, resamples)
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(values[defined].mean()), float(low), float(high))


def _by_group(
    values: NDArray[np.float64], names: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the values of each group, (G,) each."""
    unique, owner = np.unique(names, return_inverse=True)
    sums = np.bincount(owner, values, len(unique)).astype(np.float64)
    return sums, np.bincount(owner, minlength=len(unique)).astype(np.float64)


def _resampled(
    sums: NDArray[np.float64], counts: NDArray[np.float64], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Means over as many groups as there are, drawn with replacement, (resamples,)."""
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=resamples)
    means: NDArray[np.float64] = (drawn @ sums) / (drawn @ counts)
    return means
