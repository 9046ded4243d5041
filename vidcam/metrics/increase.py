"""% Increase in Confidence: how often hiding all but the explanation helps (GC++ 4.1; higher is better)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def increase(log_original: NDArray[np.float64], log_masked: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether Y < O for each clip.

    Args:
        log_original: log Y, (N,), probability of the class on the full clip.
        log_masked: log O, (N,), probability of that class on the explanation clip.

    Returns:
        (N,) bool.
    """
    return np.asarray(log_original < log_masked)


def increase_rate(increases: NDArray[np.bool_]) -> float:
    """100 · share of the clips whose confidence increased, in percent."""
    return float(100.0 * increases.mean())
