"""Bootstrap intervals of many means at once: the same as `bootstrap_mean` of each, from one set of draws.

A table has dozens of means over the same clips. Drawn once for all of them and in pieces, the work does not grow with
the number of measures nor the memory with the number of clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.metrics.bootstrap import LEVEL, RESAMPLES, Interval

_DRAWN_AT_ONCE = 200_000
"""Numbers drawn in one piece: 1.6 MB, and as much again while they are multiplied."""


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
        M intervals; NaN where nothing is defined.

    Raises:
        ShapeError: not one group a clip.
    """
    if values.ndim != 2 or values.shape[1] != len(groups):
        raise ShapeError(f"values must be (M, N) with N groups, got {values.shape = } and {len(groups)} groups")
    found = [Interval(np.nan, np.nan, np.nan)] * len(values)
    names = np.asarray(groups, dtype=str)
    for rows, defined in _alike(~np.isnan(values)):
        if not defined.any():
            continue
        means = _resampled((values[row, defined] for row in rows), names[defined], make_generator(), resamples)
        bounds = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
        for row, low, high in zip(rows, *bounds, strict=True):
            found[row] = Interval(float(values[row, defined].mean()), float(low), float(high))
    return found


def _alike(defined: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """Rows that are defined for the same clips, and for which."""
    patterns, owner = np.unique(defined, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        yield np.flatnonzero(owner.reshape(-1) == index), pattern


def _resampled(
    values: Iterable[NDArray[np.float64]], names: NDArray[np.str_], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Means of each row over as many groups as there are, drawn with replacement, (resamples, M)."""
    unique, owner = np.unique(names, return_inverse=True)
    count = len(unique)
    sums = np.stack([np.bincount(owner, row, count) for row in values], axis=1)  # (G, M)
    sizes = np.bincount(owner, minlength=count).astype(np.float64)
    piece = max(1, _DRAWN_AT_ONCE // count)
    means = []
    for start in range(0, resamples, piece):
        drawn = generator.multinomial(count, np.full(count, 1.0 / count), size=min(piece, resamples - start))
        means.append((drawn @ sums) / (drawn @ sizes)[:, None])
    return np.concatenate(means)
