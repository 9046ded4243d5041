"""A VideoReader over frames in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from functools import cache

import numpy as np

from vidcam.media import Frames, VideoInfo
from vidcam.video.arrays import MemoryFrames
from vidcam.video.frame_index import FrameIndex
from vidcam.video.images import ARRAY, DEFAULT_FPS, rate_notes
from vidcam.video.indexed import Damage, VideoReader


class ArrayReader(VideoReader):
    """VideoReader over an array or a list of frames.

    Args:
        frames: read, never written to.
        fps: frames per second; None: DEFAULT_FPS, which the notes say.
    """

    def __init__(self, frames: MemoryFrames, *, fps: Fraction | None = None) -> None:
        self._frames = frames
        rate, count = fps or DEFAULT_FPS, frames.count
        frame_index = FrameIndex(np.arange(count), np.zeros(0, np.int64), count, 1, 1 / rate)
        info = VideoInfo(
            path=frames.description,
            size=frames.size,
            rotation_degrees=0,
            fps=rate,
            pts_seconds=frame_index.seconds(),
            duration_seconds=float(frame_index.duration()),
            time_base=frame_index.time_base,
            codec="rawvideo",
            pixel_format=frames.pixels,
            has_audio=False,
            decoder=ARRAY,
            is_local=False,
            has_name=False,
            frames_sha256=cache(lambda: frames_sha256(frames)),
            notes=rate_notes(fps, count, "frame"),
        )
        super().__init__(info, Damage(frame_index))

    def _decoding(self) -> AbstractContextManager[Callable[[int], Frames]]:
        return nullcontext(self._frames.frame)


def frames_sha256(frames: MemoryFrames) -> str:
    """Compute the SHA-256 of the number, the size and the displayed pixels of frames; hexadecimal.

    An array, a list of its frames and a tensor with the same pixels have the same hash.
    """
    digest = hashlib.sha256(repr((frames.count, *frames.size)).encode())
    for index in range(frames.count):
        digest.update(frames.frame(index).data)
    return digest.hexdigest()
