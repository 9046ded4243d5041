"""Agreement of two maps of the same size: their correlation, and the share of evidence that lies in the same places.

The maps come in parts, so that a long video need not fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from vidcam.maps import Floats

Pairs = Iterable[tuple[Floats, Floats]]
"""Parts of two maps. The two arrays of a part have the same shape; parts may differ in shape."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two maps agree.

    Attributes:
        correlation: Pearson's r over all values; None if a map is constant.
        overlap: histogram intersection in [0, 1], Σ min(a / Σa, b / Σb); None if a map is zero everywhere.
    """

    correlation: float | None
    overlap: float | None


def agreement(pairs: Callable[[], Pairs]) -> Agreement:
    """Compare two maps of values >= 0.

    Args:
        pairs: yields the parts of both maps. It is called twice: the overlap needs both sums first.
    """
    moments = _moments(pairs())
    _, first, second, *_ = moments
    if first <= 0.0 or second <= 0.0:
        return Agreement(_correlation(moments), None)
    shared = sum(float(np.minimum(a / first, b / second).sum(dtype=np.float64)) for a, b in pairs())
    return Agreement(_correlation(moments), min(shared, 1.0))


def correlation(pairs: Pairs) -> float | None:
    """Return Pearson's r of two maps over all values; None if a map is constant."""
    return _correlation(_moments(pairs))


def mean_correlation(first: Floats, second: Floats) -> float | None:
    """Return the mean of Pearson's r over N pairs of maps (N, …), without those where one map is constant.

    Returns:
        None if one map is constant in every pair.
    """
    each = [correlation([pair]) for pair in zip(first, second, strict=True)]
    known = [value for value in each if value is not None]
    return sum(known) / len(known) if known else None


def _moments(pairs: Pairs) -> tuple[float, ...]:
    """Sum up both maps: count, Σa, Σb, Σa², Σb², Σab."""
    total = np.zeros(6)
    for a, b in pairs:
        x, y = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
        total += np.array([x.size, x.sum(), y.sum(), x @ x, y @ y, x @ y])
    return tuple(total.tolist())


def _correlation(moments: tuple[float, ...]) -> float | None:
    count, first, second, first_squares, second_squares, products = moments
    if count == 0:
        return None
    variances = first_squares - first**2 / count, second_squares - second**2 / count
    if any(v <= 1e-12 * squares for v, squares in zip(variances, (first_squares, second_squares), strict=True)):
        return None  # constant up to rounding
    r = (products - first * second / count) / float(np.sqrt(variances[0] * variances[1]))
    return min(1.0, max(-1.0, r))
