"""Read the box tracks of a manifest, and map them to the model's input.

The column `boxes` has JSON text, or the path of a JSON file: a list of box tracks (tubes),

    [{"start": 0, "end": 2, "boxes": [[left, top, width, height], [left, top, width, height]]}, …]

A track covers the frames [start, end) of the video as displayed, with one box per frame in displayed pixels. In the
model's input the tracks become a mask (T, H, W). A pixel is inside if its centre is.
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
from vidcam.foreign import first_line
from vidcam.geometry import Geometry
from vidcam.media import Seconds
from vidcam.system.json_files import read_regular


@dataclass(frozen=True, slots=True, eq=False)
class BoxTrack:
    """The boxes of one object over time.

    Attributes:
        start: index of the first frame.
        boxes: (F, 4), one box per frame: left, top, width, height in source pixels.
    """

    start: int
    boxes: NDArray[np.float64]

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + len(self.boxes)


def is_json(boxes: str) -> bool:
    """Check whether the column `boxes` has JSON text, not the path of a file."""
    return boxes.lstrip().startswith(("[", "{"))


def read_box_tracks(boxes: str) -> tuple[BoxTrack, ...]:
    """Read the box tracks of the column `boxes`.

    Raises:
        InputError: not JSON, or not a list of tracks.
    """
    text = boxes if is_json(boxes) else _file_text(boxes)
    try:
        document = json.loads(text)
        return tuple(_track(entry) for entry in (document if isinstance(document, list) else document["tubes"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise InputError(
            f"boxes cannot be read ({type(exc).__name__}: {first_line(exc)}); each tube needs 'start', 'end' and "
            f"'boxes' with one [left, top, width, height] per frame"
        ) from exc


def _file_text(path: str) -> str:
    try:
        return read_regular(Path(path)).decode()
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or first_line(exc)
        raise InputError(
            f"boxes {Path(path).name!r} cannot be read ({reason}); expected JSON text or the path of a JSON file"
        ) from exc


def _track(entry: Any) -> BoxTrack:
    boxes = np.asarray(entry["boxes"], dtype=np.float64)
    start, end = int(entry["start"]), int(entry["end"])
    if boxes.shape != (end - start, 4) or start < 0 or end <= start:
        raise ValueError(f"frames [{start}, {end}) have boxes of shape {boxes.shape}")
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0.0).any():
        raise ValueError("a box is not finite, or has a negative width or height")
    return BoxTrack(start, boxes)


def region(tracks: Sequence[BoxTrack], pts_seconds: Seconds, times: Seconds, geometry: Geometry) -> NDArray[np.bool_]:
    """Make the mask of the tracks in the model's input, (T, H, W).

    Args:
        tracks: box tracks of the video.
        pts_seconds: (F,) time stamps of all frames of the video.
        times: (T,) time stamps of the sampled frames.
        geometry: how frames are scaled and cropped for the model.
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
    return _centres(first_row, last_row, rows), _centres(first_column, last_column, columns)


def _centres(begin: float, end: float, length: int) -> slice:
    """Return the pixels of an axis whose centre lies in [begin, end)."""
    first, after = (math.ceil(min(max(edge - 0.5, 0.0), length)) for edge in (begin, end))  # an edge may be infinite
    return slice(first, after)
