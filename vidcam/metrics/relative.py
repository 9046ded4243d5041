"""Relative performance of two methods: the geometric mean of O_a / O_b (EQ 16–17, arXiv:2205.10838).

A probability below 1e-30 counts as 1e-30. Of a softmax it hardly ever is so small; a sigmoid's is as small as its logit
makes it, and one such clip would decide the mean of all. So no ratio is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAME = 1e-5
"""Of log(O_a/O_b): up to here the two are the same."""


LEAST = 1e-30
"""What a smaller probability counts as."""


@dataclass(frozen=True, slots=True)
class RelativePerformance:
    """Of a against b over a set of clips.

    Attributes:
        value: exp(log_mean); above 1 where a's maps keep more of the probability.
        log_mean: mean of log(O_a / O_b).
        log_std: its standard deviation over the clips (N - 1 in the denominator); NaN of one clip.
    """

    value: float
    log_mean: float
    log_std: float


def log_ratio(log_a: NDArray[np.float64], log_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(O_a / O_b) of each clip, (N,), from the logarithms of the probabilities, each LEAST at least; NaN is NaN."""
    least = np.log(LEAST)
    return np.asarray(np.maximum(log_a, least) - np.maximum(log_b, least))


def without_rounding(log_ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log ratios (N,) with 0 where rounding alone may have made them: from maps that are the same up to scale.

    A forward pass in float32 gives the same probability to about 1e-6, another one in another batch.
    """
    return np.where(np.abs(log_ratios) <= SAME, 0.0, log_ratios)


def relative_performance(log_ratios: NDArray[np.float64]) -> RelativePerformance:
    """EQ 17 of `log_ratio`'s (N,), N >= 1."""
    mean = float(log_ratios.mean())
    spread = float(log_ratios.std(ddof=1)) if log_ratios.size > 1 else float("nan")
    return RelativePerformance(float(np.exp(mean)), mean, spread)
