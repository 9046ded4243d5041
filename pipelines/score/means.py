"""Compute means over the clips of a table, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.intervals import bootstrap_means
from vidcam.pipelines.score.summary import Mean
from vidcam.pipelines.score.table import ScoreTable

Values = NDArray[np.float64]

_INTERVALS = 9
"""Part of the seed of the intervals; those of `clip` are 0 to 2."""


def clip_means(table: ScoreTable, rows: Sequence[Values] | Values, seed: int) -> list[Mean]:
    """Compute the mean and its interval for each row (N,) of values, over the clips that have a value."""
    if not table.n:
        return [Mean(None, None, None)] * len(rows)
    values, names = np.asarray(rows, np.float64), np.asarray(table.clips.group, dtype=str)
    intervals = bootstrap_means(values, lambda: np.random.default_rng([seed, 0, _INTERVALS]), groups=names.tolist())
    known = ~np.isnan(values)
    counts = {mask.tobytes(): len(np.unique(names[mask])) for mask in np.unique(known, axis=0)}
    return [
        Mean.of(interval, n=int(mask.sum()), groups=counts[mask.tobytes()])
        for interval, mask in zip(intervals, known, strict=True)
    ]
