"""Percentile bootstrap intervals of a mean, over clips or over groups of clips (Efron 1979).

Clips cut from one video are not independent. With groups, whole groups are drawn, and the mean is taken over all clips
of the drawn groups. The caller passes the generator: the same seed gives the same interval. A table has dozens of means
over the same clips. `bootstrap_means` draws once for all of them, in pieces, so that time does not grow with the number
of measures and memory does not grow with the number of clips.
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
"""Numbers drawn at a time: 1.6 MB, and again as much for their product."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its interval; all three are NaN if there are no values.

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
    """Return the mean of the clips' values and its percentile interval.

    Args:
        values: (N,), one value per clip; NaN values are left out.
        generator: source of the resampling; its state advances.
        groups: N names; clips of one name are drawn together. None: every clip is its own group.
        resamples: number of resamples.
        level: share of the resampled means inside the interval, in (0, 1).

    Raises:
        ShapeError: values are not (N,), or the number of groups differs.
        InputError: no resamples, or a level outside (0, 1).
    """
    if values.ndim != 1 or (groups is not None and len(groups) != len(values)):
        raise ShapeError(
            f"values must be (N,) with N groups, got {values.shape = } and "
            f"{'no' if groups is None else len(groups)} groups"
        )
    if resamples < 1 or not 0.0 < level < 1.0:
        raise InputError(f"expected resamples >= 1 and 0 < level < 1, got {resamples = }, {level = }")
    return bootstrap_means(values[None], lambda: generator, groups=groups, resamples=resamples, level=level)[0]


def bootstrap_means(
    values: NDArray[np.float64],
    make_generator: Callable[[], np.random.Generator],
    *,
    groups: Sequence[str] | None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """Return mean and percentile interval of each row; rows with values for the same clips share their draws.

    Args:
        values: (M, N), one row per measure and one column per clip; NaN values are left out.
        make_generator: returns the same fresh generator each time, so that no interval depends on the others.
        groups: as in `bootstrap_mean`.
        resamples: number of resamples.
        level: share of the resampled means inside the interval.

    Returns:
        M intervals, equal to those of `bootstrap_mean`; NaN for rows without values.

    Raises:
        ShapeError: the number of groups is not N.
    """
    names = np.arange(values.shape[-1]) if groups is None else np.asarray(groups, dtype=str)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ShapeError(f"values must be (M, N) with N groups, got {values.shape = } and {len(names)} groups")
    intervals = [Interval(np.nan, np.nan, np.nan)] * len(values)
    patterns, pattern_of_row = np.unique(~np.isnan(values), axis=0, return_inverse=True)
    for index, defined in enumerate(patterns):  # rows of one pattern have values for the same clips
        if not defined.any():
            continue
        rows = np.flatnonzero(pattern_of_row.reshape(-1) == index)
        row_values = (values[row, defined] for row in rows)
        for row, interval in zip(
            rows, _intervals(row_values, names[defined], make_generator(), resamples, level), strict=True
        ):
            intervals[row] = interval
    return intervals


def _intervals(
    rows: Iterable[NDArray[np.float64]],
    names: NDArray[np.generic],
    generator: np.random.Generator,
    resamples: int,
    level: float,
) -> Iterator[Interval]:
    """Yield the interval of each row (N,), which has no NaN; `names` are the N names of groups."""
    unique, owner = np.unique(names, return_inverse=True)
    count = len(unique)
    values, totals = zip(*((float(row.mean()), np.bincount(owner, row, count)) for row in rows), strict=True)
    sums = np.stack(totals, axis=1)  # (G, M)
    sizes = np.bincount(owner, minlength=count).astype(np.float64)
    piece = max(1, _DRAWN_AT_ONCE // count)
    means = []
    for start in range(0, resamples, piece):
        drawn = generator.multinomial(count, np.full(count, 1.0 / count), size=min(piece, resamples - start))
        means.append((drawn @ sums) / (drawn @ sizes)[:, None])
    bounds = np.quantile(np.concatenate(means), [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    for value, low, high in zip(values, *bounds, strict=True):
        yield Interval(value, float(low), float(high))
