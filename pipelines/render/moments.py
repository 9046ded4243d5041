"""Choose moments: at even distances, and those of a sheet, with the most evidence and others between for context."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vidcam.media import Seconds

MOST_MOMENTS = 2000
"""Largest number of points of a curve over time; about the width of a strip in pixels."""

PEAKS = 3
"""Largest number of moments that are chosen for their evidence."""

LEAST_DISTANCE = 0.1
"""Smallest distance of two peaks, as a share of the span."""

DIP = 0.98
"""Between two peaks the evidence falls below this share of the lower one; else they are one peak."""


def thinned(seconds: Seconds, most: int = MOST_MOMENTS) -> Seconds:
    """Return every n-th of (S,) moments, at most `most` of them."""
    return seconds[:: max(1, -(-seconds.size // most))]


def choose_moments(evidence: NDArray[np.float64], seconds: Seconds, *, count: int) -> list[int]:
    """Choose `count` of S moments.

    First the PEAKS highest peaks of the evidence are taken. Then the moment nearest to the middle of the widest gap is
    added, until there are `count`. The span itself bounds the first and the last gap. Without any evidence, the middles
    of `count` equal parts are taken.

    Args:
        evidence: (S,) >= 0.
        seconds: (S,) increasing.
        count: number of moments.

    Returns:
        Increasing indices, min(count, S) of them.
    """
    size = seconds.size
    if size <= count:
        return list(range(size))
    if not evidence.max() > 0.0:
        return [int(index) for index in (np.arange(count) + 0.5) * size / count]
    chosen = _peaks(evidence, seconds, min(PEAKS, count))
    while len(chosen) < count:
        chosen.append(_in_widest_gap(seconds, chosen))
    return sorted(chosen)


def _peaks(evidence: NDArray[np.float64], seconds: Seconds, count: int) -> list[int]:
    """Return the indices of at most `count` peaks, the highest one first; of a plateau the first moment."""
    distance = LEAST_DISTANCE * (seconds[-1] - seconds[0])
    peaks: list[int] = []
    for index in np.argsort(-evidence, kind="stable").tolist():
        if len(peaks) == count or evidence[index] <= 0.0:
            break
        between = (slice(min(index, peak), max(index, peak) + 1) for peak in peaks)
        has_dips = all(evidence[part].min() < DIP * evidence[index] for part in between)
        if has_dips and all(abs(seconds[index] - seconds[peak]) >= distance for peak in peaks):
            peaks.append(index)
    return peaks


def _in_widest_gap(seconds: Seconds, chosen: list[int]) -> int:
    """Return the index nearest to the middle of the widest gap that holds a moment."""
    edges = [-1, *sorted(chosen), seconds.size]
    gaps = [(low + 1, high) for low, high in pairwise(edges) if high - low > 1]
    ends = [(seconds[max(low - 1, 0)], seconds[min(high, seconds.size - 1)]) for low, high in gaps]
    widest = max(range(len(gaps)), key=lambda number: ends[number][1] - ends[number][0])
    low, high = gaps[widest]
    return low + int(np.abs(seconds[low:high] - sum(ends[widest]) / 2).argmin())
