"""Average Drop %: how much of the confidence is lost when only the explanation is shown (GC++ 4.1; lower is better)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def drop(log_original: NDArray[np.float64], log_masked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop of each clip: max(0, Y - O) / Y.

    Args:
        log_original: log Y, (N,), probability of the class on the full clip.
        log_masked: log O, (N,), probability of that class on the explanation clip E = L∘I.

    Returns:
        (N,) in [0, 1]; from the logarithms, so that a Y that underflows still has a drop.
    """
    return 0.0 - np.expm1(np.minimum(0.0, log_masked - log_original))


def average_drop(drops: NDArray[np.float64]) -> float:
    """100 · mean of the drops, in percent."""
    return float(100.0 * drops.mean())
