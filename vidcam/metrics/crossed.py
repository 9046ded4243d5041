"""Intervals for answers that raters gave on clips: they shall hold for other raters and for other clips.

Two answers of one rater are alike, and so are two answers on one clip. The bootstrap runs three times: over raters,
over clips, and over pairs of a rater and a clip. The variance is V_raters + V_clips − V_pairs, as the last part is in
both of the others (Cameron, Gelbach and Miller 2011, equation 2.14); it is at least V_pairs. Each part is corrected for
the number of its groups. The interval is Student's, with the degrees of freedom of Satterthwaite (1946).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from vidcam.errors import InputError, ShapeError
from vidcam.metrics.intervals import LEVEL

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""(B, N) weights of the answers → (B, K) values; a value that is not defined is NaN."""

_DRAWN_AT_ONCE = 2_000_000
"""Weights that are in memory at a time: 16 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossedIntervals:
    """Values and their intervals; each field is (K,). An end is NaN if there are fewer than two raters or clips."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def crossed_intervals(
    statistic: Statistic,
    raters: NDArray[np.int64],
    clips: NDArray[np.int64],
    generator: np.random.Generator,
    *,
    resamples: int = 500,
) -> CrossedIntervals:
    """Return the values of a statistic and their intervals, 95 % of which hold the true value.

    Args:
        statistic: computes the values from the weights of the answers; 1 is an answer that counts once.
        raters: (N,) who gave each answer, as indices from 0.
        clips: (N,) which clip it was about, as indices from 0.
        generator: source of the resampling; its state advances.
        resamples: number of resamples of each of the three bootstraps, at least 2.

    Raises:
        ShapeError: raters and clips are not of one length.
        InputError: too few resamples.
    """
    if raters.shape != clips.shape or raters.ndim != 1:
        raise ShapeError(f"raters and clips must be (N,), got {raters.shape} and {clips.shape}")
    if resamples < 2:
        raise InputError(f"expected resamples >= 2, got {resamples = }")
    value = statistic(np.ones((1, len(raters))))[0]
    fewest = min(len(np.unique(raters)), len(np.unique(clips)))
    if fewest < 2:
        nothing = np.full_like(value, np.nan)
        return CrossedIntervals(value, nothing, nothing)
    pairs = raters * (int(clips.max()) + 1) + clips
    parts = [_variance(statistic, groups, generator, resamples) for groups in (raters, clips, pairs)]
    (by_rater, _), (by_clip, _), (by_pair, _) = parts
    joint = by_rater + by_clip - by_pair
    variance = np.maximum(joint, by_pair)
    noise = np.asarray(sum(part**2 / freedom for part, freedom in parts))
    degrees = np.divide(variance**2, noise, out=np.ones_like(variance), where=noise > 0)
    degrees = np.where(joint < by_pair, parts[2][1], np.maximum(degrees, 1.0))
    half = student.ppf((1.0 + LEVEL) / 2.0, degrees) * np.sqrt(variance)
    return CrossedIntervals(value, value - half, value + half)


def _variance(
    statistic: Statistic, groups: NDArray[np.int64], generator: np.random.Generator, resamples: int
) -> tuple[NDArray[np.float64], int]:
    """Variance of the values over resamples of whole groups, (K,), and its degrees of freedom."""
    names, owner = np.unique(groups, return_inverse=True)
    chance, piece = np.full(len(names), 1.0 / len(names)), max(1, _DRAWN_AT_ONCE // len(groups))
    sizes = [min(piece, resamples - start) for start in range(0, resamples, piece)]
    drawn = (generator.multinomial(len(names), chance, size=size) for size in sizes)
    values = np.concatenate([statistic(rows[:, owner].astype(np.float64)) for rows in drawn])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a value that is NaN in every resample
        variance = np.asarray(np.nanvar(values, axis=0, ddof=1))
    return variance * len(names) / (len(names) - 1), len(names) - 1
