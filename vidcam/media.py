"""Video as values: the contents of a file, and when each of its frames is displayed.

Seconds count from the first displayed frame. Sizes are `(height, width)` in square pixels as displayed, that is, after
the file's pixel aspect and rotation. Time stamps are the file's own, never index / fps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError

Seconds = NDArray[np.float64]
Frames = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ClockPiece:
    """A part of a file whose time stamps are moved by one shift.

    Attributes:
        first_seconds: the first time stamp of its frames, in the file's own seconds.
        end_seconds: end of its last frame's display, in the file's own seconds.
        shift_seconds: what makes them seconds from the first displayed frame.
    """

    first_seconds: Fraction
    end_seconds: Fraction
    shift_seconds: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class VideoInfo:
    """The result of probing a video file.

    Attributes:
        path: the file, folder or address as the user typed it; the name of an open file; a description of frames in a
            list or an array, "array of 40 frames, 120 × 160".
        size: (height, width) in square pixels, as displayed.
        rotation_degrees: counter-clockwise rotation applied for display: 0, 90, 180 or 270.
        fps: mean frame rate, frames per second.
        pts_seconds: (F,) float64, when each frame is first displayed, strictly increasing, first 0.0.
        duration_seconds: end of the last frame's display.
        time_base: the stream's time unit in seconds; every time stamp is a multiple of it.
        codec: the decoder's name for the codec, 'h264'.
        pixel_format: the decoder's name for the stored pixels, 'yuv420p'.
        has_audio: whether there is an audio stream.
        pixel_aspect: width over height of a stored pixel; frame widths are multiplied by it for display.
        decoder: the decoder: 'pyav', 'decord', 'images' or 'array'.
        files: files that hold the bytes: the file itself, all images, or the copy of a stream (removed when the reader
            closes).
        is_local: whether `path` is a path of this machine.
        has_name: whether `path` names the source; otherwise it only describes it.
        frames_sha256: computes the hash of frames that lie in no file.
        notes: sentences about the file for the user, without a full stop.
        clock: how the file's own time stamps become seconds, in the order of the file; empty for what is no video file.
    """

    path: str
    size: tuple[int, int]
    rotation_degrees: int
    fps: Fraction
    pts_seconds: Seconds = field(repr=False)
    duration_seconds: float
    time_base: Fraction
    codec: str
    pixel_format: str
    has_audio: bool
    pixel_aspect: Fraction = Fraction(1)
    decoder: str = "pyav"
    files: tuple[Path, ...] = field(default=(), repr=False)
    is_local: bool = True
    has_name: bool = True
    frames_sha256: Callable[[], str] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    clock: tuple[ClockPiece, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.pts_seconds.ndim != 1 or self.pts_seconds.size == 0:
            raise ShapeError(f"pts_seconds must be (F,) with F >= 1, got pts_seconds.shape = {self.pts_seconds.shape}")
        if self.pts_seconds[0] != 0.0 or np.any(np.diff(self.pts_seconds) <= 0):
            raise ShapeError(
                f"pts_seconds must start at 0 and increase, got a start at {self.pts_seconds[0]} and a smallest "
                f"step of {np.diff(self.pts_seconds).min(initial=np.inf)}"
            )
        if not self.duration_seconds > self.pts_seconds[-1]:
            raise ShapeError(
                f"duration_seconds is {self.duration_seconds}, but the last frame is at {self.pts_seconds[-1]}"
            )

    @property
    def frame_count(self) -> int:
        """Number of displayed frames."""
        return int(self.pts_seconds.size)
