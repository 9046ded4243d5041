"""Boxes over time from masks, in the form in which a clip set's manifest has them.

    {"start": 3, "end": 12, "boxes": [[left, top, width, height], …]}       one box for each frame from start to end

Frames are half-open, boxes in pixels of the clip.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.motion.clip import MotionClip


def boxes_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The smallest box around a mask in each frame, (T, 4): left, top, width, height.

    Raises:
        ShapeError: not (T, H, W), or nothing is marked in some frame.
    """
    if mask.ndim != 3 or not mask.any(axis=(1, 2)).all():
        raise ShapeError(f"a mask must be (T, H, W) with a pixel in every frame, got {mask.shape = }")
    (left, width), (top, height) = _extent(mask, rows_or_columns=1), _extent(mask, rows_or_columns=2)
    return np.stack([left, top, width, height], axis=1)


def _extent(mask: NDArray[np.bool_], *, rows_or_columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First place and length of what is marked, looked at along an axis of (T, H, W), (T,) each."""
    marked = np.asarray(mask.any(axis=rows_or_columns))
    first = marked.argmax(axis=1)
    return first, marked.shape[1] - marked[:, ::-1].argmax(axis=1) - first


def tubes_of(clip: MotionClip, *, scale: int = 1) -> list[dict[str, Any]]:
    """One tube for each actor, over the frames in which it acts; boxes multiplied by `scale`."""
    tubes = []
    for mask, (start, end) in zip(clip.masks, clip.intervals, strict=True):
        boxes = (boxes_of(mask[start:end]) * scale).tolist()
        tubes.append({"start": start, "end": end, "boxes": boxes})
    return tubes


def boxes_filled(clip: MotionClip) -> NDArray[np.bool_]:
    """The tubes as regions, (M, T, H, W): each actor's box while it acts."""
    filled = np.zeros(clip.masks.shape, np.bool_)
    for region, tube in zip(filled, tubes_of(clip), strict=True):
        for frame, (left, top, width, height) in zip(range(tube["start"], tube["end"]), tube["boxes"], strict=True):
            region[frame, top : top + height, left : left + width] = True
    return filled
