"""Faithfulness: how much of a class's probability remains if the model sees only the explanation.

Y is the probability of the class on the full clip I, O that of the same class on the explanation clip E = L∘I, both
from a float64 log-softmax. Every function takes their logarithms, so that a probability that underflows still counts.

    log_probability        log Y, log O
    drop                   max(0, Y - O) / Y, Average Drop %              GC++ 4.1           lower is better
    increase               Y < O, % Increase in Confidence                GC++ 4.1           higher is better
    win                    the smaller drop of two methods, Win %         GC++ 4.1           higher is better
    relative_performance   geometric mean of O_a / O_b                    EQ 16-17           above 1: a keeps more
    coverage               mean of the map L; no direction: a map that hides nothing has drop 0

GC++ is arXiv:1710.11063, EQ is arXiv:2205.10838.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vidcam.devices import double
from vidcam.errors import ShapeError
from vidcam.maps import Floats
from vidcam.results.explanation import Activation

SAME_LOG_RATIO = 1e-5
"""If |log(O_a/O_b)| is at most this, O_a and O_b count as equal."""

PROBABILITY_FLOOR = 1e-30
"""Smaller probabilities are raised to this, so that no ratio is infinite and no single clip decides a mean."""


def log_probability(
    logits: Tensor, target: NDArray[np.int64], activation: Activation = "softmax"
) -> NDArray[np.float64]:
    """Return the logarithm of the probability of one class per clip.

    Args:
        logits: (N, K).
        target: (N,) class indices.
        activation: `softmax` for exclusive classes, `sigmoid` for independent ones, `none` for values.

    Returns:
        (N,) float64, <= 0, computed in float64; NaN for values.
    """
    if activation == "none":
        return np.full(len(target), np.nan)
    scores = double(logits.detach())
    logs = (scores.log_softmax(dim=1) if activation == "softmax" else functional.logsigmoid(scores)).cpu().numpy()
    target_logs: NDArray[np.float64] = np.take_along_axis(logs, np.asarray(target)[:, None], axis=1)[:, 0]
    return target_logs


def coverage(heat: Floats) -> float:
    """Return the mean of a map (T, H, W) in [0, 1], in float64: 1 shows everything, 0 nothing."""
    return float(heat.mean(dtype=np.float64))


def drop(log_original: NDArray[np.float64], log_masked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the drop of each clip: max(0, Y - O) / Y.

    Args:
        log_original: log Y, (N,).
        log_masked: log O, (N,).

    Returns:
        (N,) in [0, 1].
    """
    return 0.0 - np.expm1(np.minimum(0.0, log_masked - log_original))


def increase(log_original: NDArray[np.float64], log_masked: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether Y < O by more than rounding for each clip, (N,) bool; arguments as `drop`."""
    return np.asarray(without_rounding(log_masked - log_original) > 0)


@dataclass(frozen=True, slots=True)
class RelativePerformance:
    """Relative performance of method a against method b over a set of clips.

    Attributes:
        value: exp(log_mean); above 1 if a's maps keep more of the probability.
        log_mean: mean of log(O_a / O_b).
        log_std: its standard deviation over the clips (N - 1 in the denominator); NaN for one clip.
    """

    value: float
    log_mean: float
    log_std: float


def log_ratio(log_a: NDArray[np.float64], log_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(O_a / O_b) of each clip, (N,), from log-probabilities raised to PROBABILITY_FLOOR; NaN stays NaN."""
    floor = np.log(PROBABILITY_FLOOR)
    return np.asarray(np.maximum(log_a, floor) - np.maximum(log_b, floor))


def without_rounding(log_ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Set log ratios (N,) to 0 where they may be rounding: two maps that are equal up to scale give such ratios.

    In float32, a forward pass in another batch changes a probability by about 1e-6.
    """
    return np.where(np.abs(log_ratios) <= SAME_LOG_RATIO, 0.0, log_ratios)


def relative_performance(log_ratios: NDArray[np.float64]) -> RelativePerformance:
    """Return the relative performance (EQ 17) of log ratios (N,) from `log_ratio`, N >= 1."""
    mean = float(log_ratios.mean())
    spread = float(log_ratios.std(ddof=1)) if log_ratios.size > 1 else float("nan")
    return RelativePerformance(float(np.exp(mean)), mean, spread)


@dataclass(frozen=True, slots=True)
class Wins:
    """Percent of the clips where a has the smaller drop, where b has, and where they tie; the sum is 100."""

    a: float
    b: float
    ties: float


def win(drops_a: NDArray[np.float64], drops_b: NDArray[np.float64], ratios: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return the winner of each clip, (N,): 1 for a, -1 for b, 0 for a tie.

    Args:
        drops_a: (N,) from `drop`, clipped at 0, so that two methods that both raise the confidence tie.
        drops_b: (N,), of the same clips.
        ratios: (N,), log(O_a/O_b) from `log_ratio`; it is a tie where `without_rounding` makes it zero. (Drops near 1
            cannot tell: they differ little although the remaining probabilities differ much.)

    Raises:
        ShapeError: not the same clips.
    """
    if not drops_a.shape == drops_b.shape == ratios.shape:
        raise ShapeError(
            f"both methods must have the same clips, got {drops_a.shape = }, {drops_b.shape = }, {ratios.shape = }"
        )
    won: NDArray[np.float64] = np.sign(drops_b - drops_a) * (without_rounding(ratios) != 0)
    return won.astype(np.int8)


def win_rates(won: NDArray[np.int8]) -> Wins:
    """Return the percent of the clips won, lost and tied, from the (N,) of `win`."""
    return Wins(*(float(100.0 * np.mean(won == outcome)) for outcome in (1, -1, 0)))
