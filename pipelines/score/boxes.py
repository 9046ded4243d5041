"""Boxes over time, from a manifest to the model's view.

A manifest's `boxes` are JSON text, or the path of a JSON file: a list of box tracks, called tubes there,

    [{"start": 0, "end": 2, "boxes": [[left, top, width, height], [left, top, width, height]]}, …]

`start` and `end` count frames of the video as displayed, half-open; one box a frame, in pixels of the video as
displayed. On the model's sampled frames they become a region (T, H, W); a pixel is inside if its middle is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.geometry import Geometry
from vidcam.media import Seconds


@dataclass(frozen=True, slots=True, eq=False)
class BoxTrack:
    """One thing's boxes.

    Attributes:
        start: first frame.
        boxes: (F, 4) left, top, width, height in source pixels, one a frame.
    """

    start: int
    boxes: NDArray[np.float64]

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + len(self.boxes)


def is_json(boxes: str) -> bool:
    """Whether a manifest's field is JSON text itself, not the path of a file."""
    return boxes.lstrip().startswith(("[", "{"))


def read_box_tracks(boxes: str) -> tuple[BoxTrack, ...]:
    """The box tracks of a manifest's field.

    Raises:
        InputError: no JSON, or not of the form above.
    """
    text = boxes if is_json(boxes) else _file_text(boxes)
    try:
        found = json.loads(text)
        return tuple(_track(entry) for entry in (found if isinstance(found, list) else found["tubes"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise InputError(
            f"boxes cannot be read ({type(exc).__name__}: {exc}), expected a JSON list of tubes with 'start', 'end' "
            f"and one [left, top, width, height] a frame in 'boxes'; correct them or leave them out"
        ) from exc


def _file_text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        raise InputError(
            f"boxes {Path(path).name!r} cannot be read ({reason}), expected JSON text or the path of a JSON file; "
            f"check the manifest"
        ) from exc


def _track(entry: Any) -> BoxTrack:
    boxes = np.asarray(entry["boxes"], dtype=np.float64)
    start, end = int(entry["start"]), int(entry["end"])
    if boxes.shape != (end - start, 4) or start < 0 or end <= start:
        raise ValueError(f"{end - start} frames from {start} to {end} with boxes of shape {boxes.shape}")
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0.0).any():
        raise ValueError("a box that is not finite or has a negative width or height")
    return BoxTrack(start, boxes)


def region(tracks: Sequence[BoxTrack], pts_seconds: Seconds, times: Seconds, geometry: Geometry) -> NDArray[np.bool_]:
    """Where the tracks lie in the model's input, (T, H, W).

    Args:
        tracks: of the video.
        pts_seconds: (F,) time stamps of all its frames.
        times: (T,) time stamps of the sampled ones.
        geometry: how the model sees the video.
    """
    inside = np.zeros((len(times), *geometry.crop_size), dtype=np.bool_)
    frames = np.clip(np.searchsorted(pts_seconds, times), 0, len(pts_seconds) - 1)
    for track in tracks:
        for plane, frame in zip(inside, frames.tolist(), strict=True):
            if track.start <= frame < track.end:
                plane[_pixels(track.boxes[frame - track.start], geometry)] = True
    return inside


def _pixels(box: NDArray[np.float64], geometry: Geometry) -> tuple[slice, slice]:
    left, top, width, height = box.tolist()
    (first_row, first_column), (last_row, last_column) = (
        geometry.to_model(y, x) for y, x in ((top, left), (top + height, left + width))
    )
    rows, columns = geometry.crop_size
    return _middles(first_row, last_row, rows), _middles(first_column, last_column, columns)


def _middles(begin: float, end: float, length: int) -> slice:
    """The pixels of an axis whose middle lies in [begin, end)."""
    first, after = (min(max(math.ceil(edge - 0.5), 0), length) for edge in (begin, end))
    return slice(first, after)
