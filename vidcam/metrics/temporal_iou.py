"""Temporal IoU: does a map have its evidence during the action? Higher is better.

The mean heat of each frame is taken. Frames that reach half of its peak are the map's frames. They are compared with
the frames of the action as sets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import Floats

SHARE_OF_PEAK = 0.5


def frame_means(heat: Floats) -> NDArray[np.float64]:
    """Return the mean heat of each frame of the maps (N, T, H, W), (N, T)."""
    means: NDArray[np.float64] = heat.reshape(*heat.shape[:2], -1).mean(axis=2, dtype=np.float64)
    return means


def temporal_iou(heat: Floats, acting: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return intersection over union of the map's frames and the frames of the action.

    Args:
        heat: (N, T, H, W), >= 0.
        acting: (N, T) bool, the frames of the action.

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or a clip has no frame of action.
    """
    if heat.ndim != 4 or acting.shape != heat.shape[:2] or not acting.any(axis=1).all():
        raise ShapeError(
            f"heat must be (N, T, H, W) and acting (N, T) with an action in every clip, got {heat.shape = }, "
            f"{acting.shape = }, {acting.sum(axis=-1).min(initial=acting.shape[-1]) = }"
        )
    means = frame_means(heat)
    peak = means.max(axis=1, keepdims=True)
    in_map = (means >= SHARE_OF_PEAK * peak) & (peak > 0.0)
    shares: NDArray[np.float64] = (in_map & acting).sum(axis=1) / (in_map | acting).sum(axis=1)
    return shares
