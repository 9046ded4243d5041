"""Similarity of two maps: rank correlation and structural similarity, as in the sanity checks.

Adebayo et al. (arXiv:1810.03292) compare a model's map with the map of the same model with random weights. A map that
does not change does not show what the model has learned.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, stats

from vidcam.errors import ShapeError
from vidcam.maps import Floats

_WINDOW = 7
_STABILISERS = (0.01**2, 0.03**2)
"""(K1·L)² and (K2·L)² of Wang et al. 2004 for maps in [0, 1], L = 1."""


def rank_correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation of two maps over all cells; NaN if one of them is constant.

    Raises:
        ShapeError: the shapes differ.
    """
    _require_same_shape(first, second)
    if any(values.min() == values.max() for values in (first, second)):  # scipy would warn
        return float("nan")
    return float(stats.spearmanr(first, second, axis=None).statistic)


def ssim(first: Floats, second: Floats) -> float:
    """Return the mean structural similarity of two maps (T, H, W) in [0, 1], over space and time.

    SSIM = (2 μ₁μ₂ + C₁)(2 σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)), the mean over all windows inside the map.
    Windows are uniform, 7 long along each axis (or the whole axis if it is shorter); moments are those of a population.

    Returns:
        In [-1, 1]; 1 for equal maps.

    Raises:
        ShapeError: the shapes differ.
    """
    _require_same_shape(first, second)
    x, y = first.astype(np.float64), second.astype(np.float64)
    window = [min(_WINDOW, length) for length in first.shape]
    inside = tuple(slice(w // 2, length - (w - 1) // 2) for w, length in zip(window, first.shape, strict=True))

    def mean(values: Floats) -> Floats:
        return np.asarray(ndimage.uniform_filter(values, size=window, mode="nearest")[inside])

    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y) - mean_x * mean_y
    variances = (mean(x**2) - mean_x**2) + (mean(y**2) - mean_y**2)
    c1, c2 = _STABILISERS
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2) / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    return float(similarity.mean())


def _require_same_shape(first: Floats, second: Floats) -> None:
    if first.shape != second.shape:
        raise ShapeError(f"the two maps must have the same shape, got {first.shape = }, {second.shape = }")
