"""How alike two maps are: rank correlation and structural similarity, as the sanity checks compare them.

Adebayo et al. (arXiv:1810.03292) compare the map of a model with that of the same model with weights drawn anew: a map
that stays the same does not show what the model has learned.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, stats

from vidcam.errors import ShapeError
from vidcam.maps import Floats

_WINDOW = 7
_STABILISERS = (0.01**2, 0.03**2)
"""(K1·L)² and (K2·L)² of Wang et al. 2004 for maps in [0, 1], L = 1."""


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's rank correlation of two maps of one shape, over all cells; NaN where one is constant.

    Raises:
        ShapeError: the shapes differ.
    """
    _require_alike(one, other)
    if any(values.min() == values.max() for values in (one, other)):  # scipy would warn
        return float("nan")
    return float(stats.spearmanr(one, other, axis=None).statistic)


def ssim(one: Floats, other: Floats) -> float:
    """Mean structural similarity of two maps (T, H, W) in [0, 1], over space and time.

    SSIM = (2 μ₁μ₂ + C₁)(2 σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)) in windows of 7 along each axis (or the whole
    axis where it is shorter), uniform, population moments, at the windows that lie inside the map.

    Returns:
        In [-1, 1]; 1 for equal maps.

    Raises:
        ShapeError: the shapes differ.
    """
    _require_alike(one, other)
    first, second = one.astype(np.float64), other.astype(np.float64)
    window = [min(_WINDOW, length) for length in one.shape]
    inside = tuple(slice(w // 2, length - (w - 1) // 2) for w, length in zip(window, one.shape, strict=True))

    def mean(values: Floats) -> Floats:
        return np.asarray(ndimage.uniform_filter(values, size=window, mode="nearest")[inside])

    mean_1, mean_2 = mean(first), mean(second)
    both = mean(first * second) - mean_1 * mean_2
    spread = (mean(first**2) - mean_1**2) + (mean(second**2) - mean_2**2)
    c1, c2 = _STABILISERS
    found = (2 * mean_1 * mean_2 + c1) * (2 * both + c2) / ((mean_1**2 + mean_2**2 + c1) * (spread + c2))
    return float(found.mean())


def _require_alike(one: Floats, other: Floats) -> None:
    if one.shape != other.shape:
        raise ShapeError(f"two maps can be compared in one shape only, got {one.shape = }, {other.shape = }")
