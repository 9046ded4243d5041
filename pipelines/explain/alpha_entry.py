"""The part of the JSON about α of Grad-CAM++."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.results.explanation import AlphaAudit

Reducer = Callable[[NDArray[np.float64]], Any]


@dataclass(frozen=True, slots=True)
class FiveNumbers:
    """Five numbers over the windows: smallest minimum, medians of the three quartiles, largest maximum."""

    min: float | None
    q1: float | None
    median: float | None
    q3: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class AlphaEntry:
    """The distribution of α over all windows."""

    positive: FiveNumbers
    nonzero: FiveNumbers
    product: FiveNumbers
    clamped: float
    correlation_with_gradcam_plus: float | None


def alpha_entry(audit: AlphaAudit) -> AlphaEntry:
    """Summarise an audit of all windows."""
    return AlphaEntry(
        positive=_over_windows(audit.positive),
        nonzero=_over_windows(audit.nonzero),
        product=_over_windows(audit.product),
        clamped=float(audit.clamped.mean()),
        correlation_with_gradcam_plus=_finite(audit.agreement, np.median),
    )


def _over_windows(numbers: NDArray[np.float64]) -> FiveNumbers:
    reducers: tuple[Reducer, ...] = (np.min, np.median, np.median, np.median, np.max)
    return FiveNumbers(*(_finite(values, reduce) for values, reduce in zip(numbers.T, reducers, strict=True)))


def _finite(values: NDArray[np.float64], reduce: Reducer) -> float | None:
    finite = values[np.isfinite(values)]
    return float(reduce(finite)) if finite.size else None
