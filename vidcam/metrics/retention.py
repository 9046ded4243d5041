"""Confidence against hidden area: what is left of the probability when the lowest θ of the voxels are hidden (7.2).

Equal area for every method, so a map cannot gain by hiding nothing. By rank: the voxels above the θ-quantile of that
clip's map are kept; `order` says how ties are broken. Averaged over clips, mean(100·O/Y) against θ is GC++'s fig. 10.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.maps import Floats
from vidcam.metrics.order import Order, keep_last

DEFAULT_THETAS = (0.25, 0.5, 0.75)
GRID_THETAS = tuple(step / 10 for step in range(11))
"""GC++ fig. 10: equally spaced from 0 (all is shown) to 1 (all is hidden)."""


def hidden_count(theta: float, voxels: int) -> int:
    """How many voxels are hidden at θ: θ·n, rounded.

    Raises:
        InputError: θ outside [0, 1].
    """
    if not 0.0 <= theta <= 1.0:
        raise InputError(f"theta is {theta}, expected a share from 0 to 1; 0.5 hides half of the voxels")
    return round(theta * voxels)


def keep_top(order: Order, theta: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """The voxels that stay visible at θ, (T, H, W); `order` from `voxel_order`."""
    return keep_last(order, order.size - hidden_count(theta, order.size), size)


def tied_share(heat: Floats, order: Order, theta: float) -> float:
    """Share of the voxels whose fate at θ the ties decided: those with the value that the cut goes through."""
    hidden = hidden_count(theta, order.size)
    if hidden in (0, order.size):
        return 0.0
    flat = heat.reshape(-1)
    last_hidden, first_kept = flat[order[hidden - 1]], flat[order[hidden]]
    return float(np.mean(flat == first_kept)) if last_hidden == first_kept else 0.0


def retention(log_original: NDArray[np.float64], log_masked: NDArray[np.float64]) -> NDArray[np.float64]:
    """O / Y of each clip: the share of the probability that is left, above 1 where hiding helped.

    Args:
        log_original: log Y, (N,).
        log_masked: log O, (N,), with a share θ of the voxels hidden.

    Returns:
        (N,) >= 0.
    """
    return np.asarray(np.exp(log_masked - log_original))


def area_under(shares: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under curves by the trapezoidal rule, divided by the length of the axis.

    Args:
        shares: (P,) increasing.
        values: (..., P).

    Returns:
        (...).

    Raises:
        InputError: fewer than two points, or an axis that does not increase.
    """
    if shares.size < 2 or (np.diff(shares) <= 0).any():
        raise InputError(f"a curve needs two or more shares that increase, got {shares.tolist()}; sort them")
    return np.asarray(np.trapezoid(values, shares, axis=-1) / (shares[-1] - shares[0]))
