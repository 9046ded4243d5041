"""Read animated WebP and AVIF with Pillow: FFmpeg decodes no animated WebP, and leaves out the transparency of AVIF.

Each frame is composited by the format's rules, and what is transparent is shown on black. Times come from the file, in
milliseconds; implausible ones are repaired as in a video (`clock`). Frames follow each other, so going back starts at
the beginning of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, features

from vidcam.errors import MediaError
from vidcam.media import Frames, VideoInfo
from vidcam.video.clock import find_jumps, jump_notes
from vidcam.video.container import require_reasonable
from vidcam.video.frame_index import FrameIndex
from vidcam.video.images import picture_of
from vidcam.video.indexed import Damage, VideoReader
from vidcam.video.source import Located

MAX_PIXELS_IN_ALL = 2 * 10**10
"""Limit on all frames together: a frame of a few bytes can claim a canvas of millions of pixels."""

_MILLISECOND = Fraction(1, 1000)
_DEFAULT_MS = 100
"""Shown for a frame without a duration, as in browsers."""

_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, RuntimeError, Image.DecompressionBombError, Warning)
"""What Pillow raises for a damaged file."""


def is_animated(path: str) -> bool:
    """Return whether a file is an animated WebP, or an AVIF with several frames, that Pillow can decode."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(32)
    except (OSError, ValueError):  # opening it says so
        return False
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return bool(head[20] & 2) and features.check("webp") is True
    return head[4:12] == b"ftypavis" and features.check("avif") is True


class AnimatedReader(VideoReader):
    """VideoReader over an animated image.

    Raises:
        MediaError: no frame can be decoded, or they are too large.
    """

    def __init__(self, located: Located) -> None:
        self._located, path = located, located.path
        try:
            with Image.open(path) as image:
                require_reasonable(path, (image.height, image.width))
                size, count = (image.height, image.width), int(getattr(image, "n_frames", 1))
                _require_few(path, size, count)
                begins, codec, mode = _begins(image, count), (image.format or "").lower(), image.mode
        except _ERRORS as exc:
            if isinstance(exc, MediaError):
                raise
            raise MediaError(f"{path!r} cannot be read as an animated image ({exc}); check that it plays") from exc
        if len(begins) < 2:
            raise MediaError(f"no frame of {path!r} can be decoded; check that it plays")
        read = len(begins) - 1
        *ticks, end = begins
        step = max(1, int(np.median(np.diff(begins))))
        jumps = find_jumps(np.array(ticks, np.int64), end, step, _MILLISECOND)
        frame_index = FrameIndex(np.array(ticks, np.int64), np.zeros(0, np.int64), end, step, _MILLISECOND, jumps=jumps)
        info = VideoInfo(
            path=located.name,
            size=size,
            rotation_degrees=0,
            fps=read / frame_index.duration(),
            pts_seconds=frame_index.seconds(),
            duration_seconds=float(frame_index.duration()),
            time_base=_MILLISECOND,
            codec=codec,
            pixel_format=mode.lower(),
            has_audio=False,
            files=(Path(path),),
            is_local=located.is_local,
            notes=(*_cut_notes(read, count), *jump_notes(jumps, _MILLISECOND)),
        )
        super().__init__(info, Damage(frame_index))

    def close(self) -> None:
        """Delete the copy, if the file is one; closing twice is fine."""
        super().close()
        self._located.release()

    @contextmanager
    def _decoding(self) -> Iterator[Callable[[int], Frames]]:
        def decode(index: int) -> Frames:
            image.seek(index)
            return picture_of(image, self.info.path).pixels

        try:
            with Image.open(self._located.path) as image:
                yield decode
        except _ERRORS as exc:
            raise MediaError(f"{self.info.path!r} cannot be read any further ({exc}); run again") from exc


def _require_few(path: str, size: tuple[int, int], count: int) -> None:
    if count * size[0] * size[1] > MAX_PIXELS_IN_ALL:
        raise MediaError(
            f"{path!r} has {count} frames of {size[1]}×{size[0]} pixels; the limit is {MAX_PIXELS_IN_ALL / 1e9:g} "
            "billion pixels in all; convert it to MP4"
        )


def _cut_notes(read: int, count: int) -> tuple[str, ...]:
    return () if read == count else (f"the file is cut short: only {read} of {count} frames are there",)


def _begins(image: Image.Image, count: int) -> list[int]:
    """Return the milliseconds where each decodable frame begins, and where the last one ends."""
    begins = [0]
    for index in range(count):
        try:
            image.seek(index)
            image.load()
        except _ERRORS:
            if index == 0:
                raise
            break
        begins.append(begins[-1] + (round(image.info.get("duration", 0)) or _DEFAULT_MS))
    return begins
