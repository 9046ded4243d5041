"""Percentile bootstrap intervals of a mean, over clips or over groups of clips (Efron 1979).

Clips cut from one video are not independent. With groups, whole groups are drawn, and the mean is taken over all clips
of the drawn groups. The caller passes the generator: the same seed gives the same interval. A table has dozens of means
over the same clips. `bootstrap_means` draws once for all of them, in pieces, so that time does not grow with the number
of measures. `bootstrap_blocks` also takes the rows one at a time, so that memory holds a bounded number of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError

RESAMPLES = 2000
LEVEL = 0.95

_DRAWN_AT_ONCE = 200_000
"""Numbers drawn at a time: 1.6 MB, and again as much for their product."""

_WAITING_BYTES = 1 << 25
"""Sums that wait for their draws, about. Above, sets are drawn again for the next rows."""


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
    names = np.arange(len(values)) if groups is None else np.asarray(groups)
    return bootstrap_blocks([[values]], lambda: generator, groups=names, resamples=resamples, level=level)[0][0]


def bootstrap_means(
    values: NDArray[np.float64],
    make_generator: Callable[[], np.random.Generator],
    *,
    groups: Sequence[str],
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
    if values.ndim != 2 or values.shape[1] != len(groups):
        raise ShapeError(f"values must be (M, N) with N groups, got {values.shape = } and {len(groups)} groups")
    names = np.asarray(groups, dtype=str)
    return bootstrap_blocks([values], make_generator, groups=names, resamples=resamples, level=level)[0]


def bootstrap_blocks(
    blocks: Iterable[Iterable[NDArray[np.float64]]],
    make_generator: Callable[[], np.random.Generator],
    *,
    groups: NDArray[np.generic],
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[list[Interval]]:
    """Return what `bootstrap_means` returns for each block of rows. The blocks share their draws too.

    Rows are taken one at a time, and memory holds a bounded number of their sums. So a row can be computed, or read,
    when it is its turn.

    Args:
        blocks: each has rows (N,); NaN values are left out.
        make_generator: as in `bootstrap_means`.
        groups: (N,) names or numbers; clips of one name are drawn together.
        resamples: number of resamples.
        level: share of the resampled means inside the interval.
    """
    waiting = _Waiting(groups, make_generator, resamples, level)
    found = [waiting.add(rows) for rows in blocks]
    waiting.draw()
    return found


class _Waiting:
    """Rows that wait for their draws, as sums of groups."""

    def __init__(
        self,
        groups: NDArray[np.generic],
        make_generator: Callable[[], np.random.Generator],
        resamples: int,
        level: float,
    ) -> None:
        _, self._owner = np.unique(groups, return_inverse=True)
        self._make_generator, self._resamples, self._level = make_generator, resamples, level
        self._patterns: dict[bytes, _Pattern] = {}
        self._bytes = 0

    def add(self, rows: Iterable[NDArray[np.float64]]) -> list[Interval]:
        """Add a block of rows; returns the list that `draw` fills with their intervals."""
        if self._bytes > _WAITING_BYTES:
            self.draw()
        intervals: list[Interval] = []
        before = self._bytes
        for row in rows:
            if self._bytes - before > _WAITING_BYTES:  # a block of a very large set is cut
                self.draw()
                before = 0
            intervals.append(Interval(np.nan, np.nan, np.nan))
            if (defined := ~np.isnan(row)).any():
                pattern = self._pattern(defined)
                self._bytes += pattern.add(row[defined], intervals, len(intervals) - 1)
        return intervals

    def _pattern(self, defined: NDArray[np.bool_]) -> _Pattern:
        key = np.packbits(defined).tobytes()
        if key not in self._patterns:
            self._patterns[key] = _Pattern(self._owner[defined])
            self._bytes += self._patterns[key].owner.nbytes
        return self._patterns[key]

    def draw(self) -> None:
        """Compute the intervals of all rows."""
        for pattern in self._patterns.values():
            pattern.draw(self._make_generator(), self._resamples, self._level)
        self._patterns, self._bytes = {}, 0


class _Pattern:
    """Rows with values for the same clips.

    Args:
        owner: (N,), a number for the group of each of these clips.
    """

    def __init__(self, owner: NDArray[np.generic]) -> None:
        unique, self.owner = np.unique(owner, return_inverse=True)
        self._count = len(unique)
        self._blocks: list[_Block] = []

    def add(self, row: NDArray[np.float64], intervals: list[Interval], place: int) -> int:
        """Add a row (N,), whose interval goes to a place of a list; returns the bytes that it takes."""
        if not self._blocks or self._blocks[-1].intervals is not intervals:
            self._blocks.append(_Block(intervals))
        block, totals = self._blocks[-1], np.bincount(self.owner, row, self._count).astype(np.float64, copy=False)
        block.places.append(place)
        block.values.append(float(row.mean()))
        block.totals.append(totals)
        return totals.nbytes

    def draw(self, generator: np.random.Generator, resamples: int, level: float) -> None:
        """Compute the intervals of all rows."""
        sizes = np.bincount(self.owner, minlength=self._count).astype(np.float64)
        sums = [block.take_sums() for block in self._blocks]  # (G, M) each
        means: list[list[NDArray[np.float64]]] = [[] for _ in sums]
        piece = max(1, _DRAWN_AT_ONCE // self._count)
        chances = np.full(self._count, 1.0 / self._count)
        for start in range(0, resamples, piece):
            drawn = generator.multinomial(self._count, chances, size=min(piece, resamples - start))
            drawn_sizes = (drawn @ sizes)[:, None]
            for of_block, block_sums in zip(means, sums, strict=True):
                of_block.append((drawn @ block_sums) / drawn_sizes)
        for block, of_block in zip(self._blocks, means, strict=True):
            block.fill(np.quantile(np.concatenate(of_block), [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Rows of one block: where their intervals go, their means, and the sums of their groups, (G,) each."""

    intervals: list[Interval]
    places: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    totals: list[NDArray[np.float64]] = field(default_factory=list)

    def take_sums(self) -> NDArray[np.float64]:
        """Return the sums, (G, M); they are not kept."""
        sums = np.stack(self.totals, axis=1)
        self.totals.clear()
        return sums

    def fill(self, bounds: NDArray[np.float64]) -> None:
        """Fill in the intervals with these ends, (2, M)."""
        for place, value, low, high in zip(self.places, self.values, *bounds, strict=True):
            self.intervals[place] = Interval(value, float(low), float(high))
