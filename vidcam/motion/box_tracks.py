"""Box tracks of actors from their masks, in the format of a clip set's manifest.

    {"start": 3, "end": 12, "boxes": [[left, top, width, height], …]}       one box per frame from start to end

Frame intervals are half-open. Boxes are in pixels of the clip.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.motion.clip import MotionClip


def bounding_boxes(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the smallest box around a mask in each frame, (T, 4): left, top, width, height.

    Raises:
        ShapeError: the mask is not (T, H, W), or empty in some frame.
    """
    if mask.ndim != 3 or not mask.any(axis=(1, 2)).all():
        raise ShapeError(f"mask must be (T, H, W) and True somewhere in every frame, got {mask.shape = }")
    (left, width), (top, height) = _extent(mask, reduced_axis=1), _extent(mask, reduced_axis=2)
    return np.stack([left, top, width, height], axis=1)


def _extent(mask: NDArray[np.bool_], *, reduced_axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first position and length of the mask along columns (reduced_axis=1) or rows (2), (T,) each."""
    is_marked = np.asarray(mask.any(axis=reduced_axis))
    first = is_marked.argmax(axis=1)
    return first, is_marked.shape[1] - is_marked[:, ::-1].argmax(axis=1) - first


def box_tracks(clip: MotionClip, *, scale: int = 1) -> list[dict[str, Any]]:
    """Return one track for each actor, over the frames of its action; boxes are multiplied by `scale`."""
    tracks = []
    for mask, (start, end) in zip(clip.masks, clip.intervals, strict=True):
        boxes = (bounding_boxes(mask[start:end]) * scale).tolist()
        tracks.append({"start": start, "end": end, "boxes": boxes})
    return tracks


def filled_boxes(clip: MotionClip) -> NDArray[np.bool_]:
    """Return the tracks as regions, (M, T, H, W): each actor's box during its action."""
    regions = np.zeros(clip.masks.shape, np.bool_)
    for region, track in zip(regions, box_tracks(clip), strict=True):
        for frame, (left, top, width, height) in zip(range(track["start"], track["end"]), track["boxes"], strict=True):
            region[frame, top : top + height, left : left + width] = True
    return regions
