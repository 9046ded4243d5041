"""Insertion and deletion: the probability while the most important part is shown first, or taken away first.

On space-time voxels, and on whole frames ordered by their mean heat. Insertion begins with nothing but the fill and
shows the share s of highest rank; on voxels that is retention at θ = 1 - s, so the two share their forward passes.
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
    """What is visible when the highest share of the voxels has been inserted, (T, H, W)."""
    return keep_last(order, hidden_count(share, order.size), size)


def delete_voxels(order: Order, share: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """What is visible when the highest share of the voxels has been deleted, (T, H, W)."""
    return ~insert_voxels(order, share, size)


def insert_frames(order: Order, share: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """The same for whole frames; `order` from `frame_order`, a share is rounded to whole frames."""
    frames = insert_voxels(order, share, (order.size,))
    return np.broadcast_to(frames.reshape(-1, *([1] * (len(size) - 1))), size)


def delete_frames(order: Order, share: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """The same for whole frames, deleted."""
    return ~insert_frames(order, share, size)


def frame_shares(frames: int) -> tuple[float, ...]:
    """The steps for whole frames: SHARES rounded to whole frames, each once."""
    return tuple(dict.fromkeys(hidden_count(share, frames) / frames for share in SHARES))


def curve_area(shares: tuple[float, ...], log_probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the probability.

    Args:
        shares: (P,) inserted or deleted, increasing.
        log_probability: (..., P).

    Returns:
        (...) in [0, 1].
    """
    return area_under(np.asarray(shares), np.exp(log_probability))
