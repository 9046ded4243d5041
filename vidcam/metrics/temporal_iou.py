"""Temporal IoU: whether a map's evidence comes when the action does (higher is better).

A map's course in time is its mean over each frame. The frames that reach half of the course's peak are those that the
map tells; they are compared with the frames of the action as sets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats

SHARE_OF_PEAK = 0.5


def course(heat: Floats) -> NDArray[np.float64]:
    """Mean of each frame of the maps (N, T, H, W), (N, T)."""
    means: NDArray[np.float64] = heat.reshape(*heat.shape[:2], -1).mean(axis=2, dtype=np.float64)
    return means


def temporal_iou(heat: Floats, acting: NDArray[np.bool_], *, share: float = SHARE_OF_PEAK) -> NDArray[np.float64]:
    """Frames that are told and of the action, over frames that are either.

    Args:
        heat: (N, T, H, W), >= 0.
        acting: (N, T) bool, the frames of the action.
        share: of its peak that a course must reach for a frame to be told, in (0, 1].

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or nobody acts in some clip.
        InputError: a share outside (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"share is {share}, expected 0 < share <= 1; {SHARE_OF_PEAK} is half of the peak")
    if heat.ndim != 4 or acting.shape != heat.shape[:2] or not acting.any(axis=1).all():
        raise ShapeError(
            f"heat must be (N, T, H, W), acting (N, T) with a frame of action in each clip, got {heat.shape = }, "
            f"{acting.shape = }, {acting.sum(axis=-1).min(initial=acting.shape[-1]) = }"
        )
    means = course(heat)
    peak = means.max(axis=1, keepdims=True)
    told = (means >= share * peak) & (peak > 0.0)
    shares: NDArray[np.float64] = (told & acting).sum(axis=1) / (told | acting).sum(axis=1)
    return shares
