"""Insertion and deletion: the probability as the most important part is shown first, or hidden first.

Both work on space-time voxels, and on whole frames ordered by their mean heat. Insertion starts from the fill alone and
shows the share s of highest rank. On voxels it equals retention at θ = 1 - s, so that both use the same forward passes.
Deletion hides that share instead. The value is the area under the probability against s (Petsiuk et al.,
arXiv:1806.07421): high is good for insertion, low for deletion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.order import Order, keep_last
from vidcam.metrics.retention import area_under, hidden_count

SHARES = tuple(step / 10 for step in range(11))


def insert_voxels(order: Order, share: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Insert a share of the voxels, highest rank first. Return the visible voxels, (T, H, W) bool."""
    return keep_last(order, hidden_count(share, order.size), size)


def delete_voxels(order: Order, share: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Delete a share of the voxels, highest rank first. Return the visible voxels, (T, H, W) bool."""
    return ~insert_voxels(order, share, size)


def insert_frames(order: Order, share: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Insert whole frames; `order` from `frame_order`. The share is rounded to whole frames."""
    frames = insert_voxels(order, share, (order.size,))
    return np.broadcast_to(frames.reshape(-1, *([1] * (len(size) - 1))), size)


def delete_frames(order: Order, share: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Delete whole frames; see `insert_frames`."""
    return ~insert_frames(order, share, size)


def frame_shares(frames: int) -> tuple[float, ...]:
    """Return SHARES rounded to whole frames, without duplicates."""
    return tuple(dict.fromkeys(hidden_count(share, frames) / frames for share in SHARES))


def curve_area(shares: tuple[float, ...], log_probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under the curve of the probability against the shares.

    Args:
        shares: (P,) shares inserted or deleted, increasing.
        log_probability: (..., P).

    Returns:
        (...) in [0, 1].
    """
    return area_under(np.asarray(shares), np.exp(log_probability))
