"""The probability of a class, from logits, as every measure of faithfulness takes it: a float64 log-softmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def log_probability(logits: Tensor, target: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithm of the softmax probability of one class for each clip.

    Args:
        logits: (N, K).
        target: (N,) class indices.

    Returns:
        (N,) float64, <= 0, computed in float64.
    """
    chosen = logits.detach().double().log_softmax(dim=1).cpu().numpy()
    picked: NDArray[np.float64] = np.take_along_axis(chosen, np.asarray(target)[:, None], axis=1)[:, 0]
    return picked
