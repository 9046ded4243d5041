"""The part of the JSON about α of Grad-CAM++."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.results.explanation import AlphaAudit


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
    low, first, middle, third, high = numbers.T
    return FiveNumbers(
        min=_finite(low, np.min),
        q1=_finite(first, np.median),
        median=_finite(middle, np.median),
        q3=_finite(third, np.median),
        max=_finite(high, np.max),
    )


def _finite(values: NDArray[np.float64], reduce: Callable[[NDArray[np.float64]], Any]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(reduce(finite)) if finite.size else None
