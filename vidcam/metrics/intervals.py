"""The uncertainty of a mean: percentile bootstrap intervals over clips, or over groups of clips (Efron 1979).

Clips cut from one video are no independent samples: with groups, whole groups are drawn, and the mean is that over all
clips of the groups drawn. The generator is the caller's, so that the same seed gives the same interval. A table has
dozens of means over the same clips: `bootstrap_means` draws once for all of them and in pieces, so that the work does
not grow with the number of measures nor the memory with the number of clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError

RESAMPLES = 2000
LEVEL = 0.95

_DRAWN_AT_ONCE = 200_000
"""Numbers drawn in one piece: 1.6 MB, and as much again while they are multiplied."""


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
    return next(_intervals(values[None, defined], names[defined], generator, resamples, level))


def bootstrap_means(
    values: NDArray[np.float64],
    make_generator: Callable[[], np.random.Generator],
    *,
    groups: Sequence[str],
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """Mean and percentile interval of each row of values; rows that are undefined for other clips draw anew.

    Args:
        values: (M, N), one row a measure and one column a clip; NaN where it is undefined, which is left out.
        make_generator: gives the same fresh generator each time, so that no interval depends on the others.
        groups: N names; clips of one name are drawn together.
        resamples: how often.
        level: share of the resampled means that lie in the interval.

    Returns:
        M intervals, each that of `bootstrap_mean`; NaN where nothing is defined.

    Raises:
        ShapeError: not one group a clip.
    """
    if values.ndim != 2 or values.shape[1] != len(groups):
        raise ShapeError(f"values must be (M, N) with N groups, got {values.shape = } and {len(groups)} groups")
    found = [Interval(np.nan, np.nan, np.nan)] * len(values)
    names = np.asarray(groups, dtype=str)
    patterns, owner = np.unique(~np.isnan(values), axis=0, return_inverse=True)
    for index, defined in enumerate(patterns):  # the rows of one pattern are defined for the same clips
        if not defined.any():
            continue
        rows = np.flatnonzero(owner.reshape(-1) == index)
        chosen = (values[row, defined] for row in rows)
        for row, interval in zip(
            rows, _intervals(chosen, names[defined], make_generator(), resamples, level), strict=True
        ):
            found[row] = interval
    return found


def _intervals(
    rows: Iterable[NDArray[np.float64]],
    names: NDArray[np.generic],
    generator: np.random.Generator,
    resamples: int,
    level: float,
) -> Iterator[Interval]:
    """The interval of each row (N,), which is defined everywhere; N names of groups."""
    unique, owner = np.unique(names, return_inverse=True)
    count = len(unique)
    own, totals = zip(*((float(row.mean()), np.bincount(owner, row, count)) for row in rows), strict=True)
    sums = np.stack(totals, axis=1)  # (G, M)
    sizes = np.bincount(owner, minlength=count).astype(np.float64)
    piece = max(1, _DRAWN_AT_ONCE // count)
    means = []
    for start in range(0, resamples, piece):
        drawn = generator.multinomial(count, np.full(count, 1.0 / count), size=min(piece, resamples - start))
        means.append((drawn @ sums) / (drawn @ sizes)[:, None])
    bounds = np.quantile(np.concatenate(means), [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    for value, low, high in zip(own, *bounds, strict=True):
        yield Interval(value, float(low), float(high))
