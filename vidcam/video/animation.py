"""Animated pictures: GIF and WebP, through imageio.

Both hold all frames in memory until the end, so that there is a limit. GIF counts time in 1/100 s and has 256 colours
a frame, WebP counts in 1/1000 s; frames' times are rounded to that, without drift. There is no sound in either.

A GIF's colours are chosen by median cut of 64 steps a channel, not of 256: seven times as quick. Each is then the mean
of the pixels that it stands for. They are chosen as the frames come, so that this overlaps with drawing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from vidcam.errors import EncodeError, InputError, ShapeError
from vidcam.media import Frames
from vidcam.system.atomic import AtomicFile
from vidcam.video.container import encode_error, encode_errors

MOST_BYTES = 1 << 30
"""Of all frames together, uncompressed."""

_UNIT_SECONDS = {".gif": 0.01, ".webp": 0.001}
_OPTIONS: dict[str, dict[str, Any]] = {
    ".gif": {"loop": 0, "optimize": False, "disposal": 1},
    ".webp": {"loop": 0, "method": 4},
}
WEBP_QUALITY = 90
LONGEST_CENTISECONDS = 65_535
"""That one picture of a GIF stays."""

_STEPS = np.round(np.round(np.arange(256) * (63 / 255)) * (255 / 63)).astype(int).tolist() * 3
"""64 steps of each of three channels."""


class AnimationWriter:
    """Keeps frames as they come and writes them at the end; a context manager that leaves a whole file, or none.

    Args:
        path: ends in .gif or .webp.
        size: (height, width) of the frames.
        count: how many frames will come.
        duration_seconds: end of the last frame's display.
        overwrite: whether an existing file at `path` is replaced.
        quality: of WebP, 0 to 100, higher is better; GIF has none.

    Raises:
        InputError: more than fits into memory, or a quality beyond its scale.
        OutputError: the destination exists, its folder does not, or it cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: tuple[int, int],
        count: int,
        duration_seconds: float,
        overwrite: bool = False,
        quality: int | None = None,
    ) -> None:
        self._path, self._size, self._end = Path(path), size, duration_seconds
        self._kind = self._path.suffix.lower()
        needed = count * size[0] * size[1] * 3
        if needed > MOST_BYTES:
            raise InputError(
                f"{count} frames of {size[0]} × {size[1]} pixels are {needed / 2**30:.1f} GB in memory, a {self._kind} "
                f"may have {MOST_BYTES / 2**30:.0f} GB; take a part, make it smaller, or write an .mp4 or .webm"
            )
        require_quality(self._kind.removeprefix("."), quality)
        self._quality = WEBP_QUALITY if quality is None else quality
        self._frames: list[Frames] = []
        self._seconds: list[float] = []
        self._file = AtomicFile(self._path, overwrite=overwrite)

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Keep a frame, (H, W, 3) uint8, and when it is first displayed.

        Raises:
            ShapeError: the frame or its time does not fit.
        """
        if frame.shape != (*self._size, 3) or frame.dtype != np.uint8:
            raise ShapeError(f"frame must be {(*self._size, 3)} uint8, got {frame.shape = }, {frame.dtype = }")
        self._frames.append(_few_colours(frame) if self._kind == ".gif" else frame)
        self._seconds.append(pts_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                data = self._encoded()
                with encode_errors(self._path):
                    self._file.part.write_bytes(data.getbuffer())
                    self._file.commit()
        finally:
            self._file.discard()
            self._frames.clear()

    def _encoded(self) -> io.BytesIO:
        """The animation; not in the file itself, which imageio leaves open where the disk is full."""
        if not self._frames:
            raise EncodeError(f"no frame was written to '{self._path}'; expected at least one; check the input")
        try:
            return self._animation()
        except OverflowError as exc:  # of pictures that are the same one after the other, too
            reason = f"one picture stays for longer than {LONGEST_CENTISECONDS / 100:g} s, which no GIF can"
            raise encode_error(self._path, reason) from exc
        except (ValueError, OSError) as exc:
            raise encode_error(self._path, str(exc)) from exc

    def _animation(self) -> io.BytesIO:
        import imageio.v3 as iio  # 0.2 s: only who wants an animation pays for it

        options = dict(_OPTIONS[self._kind])
        if self._kind == ".webp":
            options["quality"] = self._quality
        milliseconds = durations(self._seconds, self._end, _UNIT_SECONDS[self._kind])
        # Pillow wants one number for a single picture, and fails on a list
        options["duration"] = milliseconds if len(milliseconds) > 1 else milliseconds[0]
        data = io.BytesIO()
        with iio.imopen(data, "w", plugin="pillow", extension=self._kind) as file:
            write: Any = file.write  # its stub knows nothing of a plugin's options
            for frame in self._frames:
                write(frame, is_batch=False, **options)
        return data


def require_quality(form: str, quality: int | None) -> None:
    """Check the quality of a 'gif' or 'webp'; None: the default.

    Raises:
        InputError: it is beyond the scale, or given for a GIF.
    """
    if quality is not None and (form != "webp" or not 0 <= quality <= 100):
        raise InputError(f"quality is {quality}, expected 0 to 100 for a .webp and none for a .gif; leave it out")


def _few_colours(frame: Frames) -> Frames:
    """The frame in at most 256 colours, (H, W, 3) uint8."""
    stepped = Image.fromarray(frame).point(_STEPS)
    chosen = np.asarray(stepped.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    counts = np.maximum(np.bincount(chosen.reshape(-1), minlength=256), 1)
    sums = [np.bincount(chosen.reshape(-1), frame[..., each].reshape(-1), minlength=256) for each in range(3)]
    colours = np.round(np.stack(sums, axis=-1) / counts[:, None]).astype(np.uint8)
    return np.asarray(colours[chosen])


def durations(seconds: Sequence[float], end_seconds: float, unit_seconds: float) -> list[int]:
    """How long each frame is shown, in milliseconds: whole units, at least one, without drift."""
    ticks = np.round(np.asarray([*seconds, end_seconds]) / unit_seconds).astype(int)
    return [max(1, int(step)) * round(unit_seconds * 1000) for step in np.diff(ticks)]
