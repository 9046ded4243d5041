"""Retention: the probability that remains when the share θ of the voxels with the lowest heat is hidden (GC++ 7.2).

Every method hides the same area, so a map cannot gain by hiding nothing. Voxels above the θ-quantile of the clip's own
map are kept; `order` breaks ties. The mean over clips of 100·O/Y against θ is GC++ fig. 10.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcam.errors import InputError
from vidcam.maps import Floats
from vidcam.metrics.faithfulness import log_ratio
from vidcam.metrics.order import Order

DEFAULT_THETAS = (0.25, 0.5, 0.75)
GRID_THETAS = tuple(step / 10 for step in range(11))
"""As in GC++ fig. 10: equally spaced from 0 (nothing is hidden) to 1 (everything is hidden)."""


def hidden_count(theta: float, voxels: int) -> int:
    """Return the number of voxels hidden at θ: θ·n, rounded.

    Raises:
        InputError: θ outside [0, 1].
    """
    if not 0.0 <= theta <= 1.0:
        raise InputError(f"theta is {theta}, expected 0 <= theta <= 1; 0.5 hides half of the voxels")
    return round(theta * voxels)


def keep_top(ranks: Tensor, theta: float) -> Tensor:
    """Return the voxels that stay visible at θ, (T, H, W) bool; `ranks` from `ranks_of`."""
    return ranks >= hidden_count(theta, ranks.numel())


def tied_share(heat: Floats, order: Order, theta: float) -> float:
    """Return the share of the voxels that ties decide at θ: those whose value equals the cut value."""
    hidden = hidden_count(theta, order.size)
    if hidden in (0, order.size):
        return 0.0
    flat = heat.reshape(-1)
    last_hidden, first_kept = flat[order[hidden - 1]], flat[order[hidden]]
    return float(np.mean(flat == first_kept)) if last_hidden == first_kept else 0.0


def retention(log_original: NDArray[np.float64], log_masked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return O / Y of each clip: the share of the probability that remains, above 1 if hiding helped.

    Args:
        log_original: log Y, (N,).
        log_masked: log O, (N,), with a share θ of the voxels hidden.

    Returns:
        (N,) >= 0.
    """
    return np.asarray(np.exp(log_masked - log_original))


def equal_area_ratios(
    log_original: NDArray[np.float64], kept_a: NDArray[np.float64], kept_b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return log(O_a / O_b) of two methods that hide the same share θ: their relative performance at equal area.

    Args:
        log_original: log Y, (N,).
        kept_a: O / Y of method a, (..., N), from `retention`.
        kept_b: O / Y of method b at the same θ, (..., N).

    Returns:
        (..., N), from probabilities raised to PROBABILITY_FLOOR, so that no clip decides a mean.
    """
    with np.errstate(divide="ignore"):  # an underflow is raised to the floor
        return log_ratio(log_original + np.log(kept_a), log_original + np.log(kept_b))


def area_under(shares: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under curves by the trapezoidal rule, divided by the length of the axis.

    Args:
        shares: (P,) increasing.
        values: (..., P).

    Returns:
        (...).

    Raises:
        InputError: fewer than two points, or an axis that does not increase.
    """
    if shares.size < 2 or (np.diff(shares) <= 0).any():
        raise InputError(f"shares must be two or more numbers that increase, got {shares.tolist()}")
    return np.asarray(np.trapezoid(values, shares, axis=-1) / (shares[-1] - shares[0]))
