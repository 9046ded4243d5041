"""The probability of a class, from logits, as every measure of faithfulness takes it: a float64 log-softmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vidcam.results.explanation import Activation


def log_probability(
    logits: Tensor, target: NDArray[np.int64], activation: Activation = "softmax"
) -> NDArray[np.float64]:
    """Logarithm of the probability of one class for each clip.

    Args:
        logits: (N, K).
        target: (N,) class indices.
        activation: `softmax` for classes that exclude each other, `sigmoid` for those that do not.

    Returns:
        (N,) float64, <= 0, computed in float64.
    """
    scores = logits.detach().double()
    chosen = (scores.log_softmax(dim=1) if activation == "softmax" else functional.logsigmoid(scores)).cpu().numpy()
    picked: NDArray[np.float64] = np.take_along_axis(chosen, np.asarray(target)[:, None], axis=1)[:, 0]
    return picked
