"""Compute means over the clips of a table, with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.intervals import bootstrap_blocks
from vidcam.pipelines.score.summary import Mean
from vidcam.pipelines.score.table import ScoreTable

Values = NDArray[np.float64]

_INTERVALS = 9
"""Part of the seed of the intervals; those of `clip` are 0 to 2."""


def clip_means(table: ScoreTable, blocks: Iterable[Iterable[Values]], seed: int) -> list[list[Mean]]:
    """Compute the mean and its interval for each row (N,) of each block, over the clips that have a value.

    Rows are taken one at a time, so a block can compute them.
    """
    owner, counts = table.clips.group_numbers(), list[dict[str, int]]()

    def counted(rows: Iterable[Values]) -> Iterator[Values]:
        for row in rows:
            known = ~np.isnan(row)
            groups = np.bincount(owner[known], minlength=1)
            counts.append({"n": int(known.sum()), "groups": int(np.count_nonzero(groups))})
            yield row

    found = bootstrap_blocks(map(counted, blocks), lambda: np.random.default_rng([seed, 0, _INTERVALS]), groups=owner)
    numbers = iter(counts)
    return [[Mean.of(interval, **next(numbers)) for interval in block] for block in found]
