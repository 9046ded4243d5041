"""Write animated images: GIF and WebP, through imageio. Neither format has audio.

All frames stay in memory until the end, so their total size is limited. Frame times are rounded to the format's unit
(GIF 1/100 s, WebP 1/1000 s). The rounding errors do not add up.

A GIF frame has at most 256 colours. They are chosen by median cut on 64 levels a channel, seven times as fast as on
256. Each chosen colour is then replaced by the mean of the pixels that it stands for. Frames are quantized as they
arrive, so that this overlaps with drawing.
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
from vidcam.video.container import encode_error, encode_errors

MAX_BYTES = 1 << 30
"""Limit on all frames together, uncompressed."""

_UNIT_SECONDS = {".gif": 0.01, ".webp": 0.001}
_OPTIONS: dict[str, dict[str, Any]] = {
    ".gif": {"loop": 0, "optimize": False, "disposal": 1},
    ".webp": {"loop": 0, "method": 4},
}
WEBP_QUALITY = 90
MAX_GIF_CENTISECONDS = 65_535
"""Longest time that a GIF can display one frame."""

_COLOUR_LEVELS = np.round(np.round(np.arange(256) * (63 / 255)) * (255 / 63)).astype(int).tolist() * 3
"""Lookup table to 64 levels, once for each of the three channels."""


class AnimationWriter:
    """Collect frames and write the file at the end.

    A context manager. After an exception it writes nothing.

    Args:
        path: the file, which is replaced; ends in .gif or .webp.
        size: (height, width) of the frames.
        count: number of frames that will be written.
        duration_seconds: end of the last frame's display.
        quality: for WebP only, 0 to 100, higher is better; None: WEBP_QUALITY.

    Raises:
        InputError: the frames do not fit into memory, or the quality is out of range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: tuple[int, int],
        count: int,
        duration_seconds: float,
        quality: int | None = None,
    ) -> None:
        self._path, self._size, self._end = Path(path), size, duration_seconds
        self._suffix = self._path.suffix.lower()
        frame_bytes = count * size[0] * size[1] * 3
        if frame_bytes > MAX_BYTES:
            raise InputError(
                f"{count} frames of {size[1]}×{size[0]} pixels take {frame_bytes / 2**30:.1f} GB, a {self._suffix} may "
                f"take {MAX_BYTES / 2**30:.0f} GB; lower --height or write an .mp4"
            )
        require_quality(self._suffix.removeprefix("."), quality)
        self._quality = WEBP_QUALITY if quality is None else quality
        self._frames: list[Frames] = []
        self._seconds: list[float] = []

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Add a frame, (H, W, 3) uint8 RGB, that is first displayed at `pts_seconds`.

        Raises:
            ShapeError: the frame has another shape or dtype.
        """
        if frame.shape != (*self._size, 3) or frame.dtype != np.uint8:
            raise ShapeError(f"frame must be {(*self._size, 3)} uint8, got {frame.shape} {frame.dtype}")
        self._frames.append(_quantize(frame) if self._suffix == ".gif" else frame)
        self._seconds.append(pts_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                data = self._encode()
                with encode_errors(self._path):
                    self._path.write_bytes(data.getbuffer())
        finally:
            self._frames.clear()

    def _encode(self) -> io.BytesIO:
        """Encode in memory: imageio would leave the file itself open if the disk is full."""
        if not self._frames:
            raise EncodeError(f"no frame was written to '{self._path.name}'; write at least one")
        try:
            return self._write_animation()
        except OverflowError as exc:  # also when several equal frames are merged into one
            reason = f"a GIF cannot show one frame for more than {MAX_GIF_CENTISECONDS / 100:g} s"
            raise encode_error(self._path, reason) from exc
        except (ValueError, OSError) as exc:
            raise encode_error(self._path, str(exc)) from exc

    def _write_animation(self) -> io.BytesIO:
        import imageio.v3 as iio  # takes 0.2 s, so it is imported only when needed

        options = dict(_OPTIONS[self._suffix])
        if self._suffix == ".webp":
            options["quality"] = self._quality
        milliseconds = frame_durations(self._seconds, self._end, _UNIT_SECONDS[self._suffix])
        # For a single frame, Pillow needs a number and fails on a list.
        options["duration"] = milliseconds if len(milliseconds) > 1 else milliseconds[0]
        data = io.BytesIO()
        with iio.imopen(data, "w", plugin="pillow", extension=self._suffix) as file:
            write: Any = file.write  # the type stub lacks the plugin's options
            for frame in self._frames:
                write(frame, is_batch=False, **options)
        return data


def require_quality(form: str, quality: int | None) -> None:
    """Check the quality of an animation.

    Args:
        form: 'gif' or 'webp'.
        quality: 0 to 100 for 'webp'; None: the default.

    Raises:
        InputError: the quality is out of range, or set for a GIF.
    """
    if quality is None:
        return
    if form != "webp":
        raise InputError(f"--quality {quality} does not apply to a .{form}; leave it out")
    if not 0 <= quality <= 100:
        raise InputError(f"--quality must be 0 to 100 for a .webp, got {quality}")


def _quantize(frame: Frames) -> Frames:
    """Reduce a frame to at most 256 colours, (H, W, 3) uint8."""
    coarse = Image.fromarray(frame).point(_COLOUR_LEVELS)
    indices = np.asarray(coarse.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    counts = np.maximum(np.bincount(indices.reshape(-1), minlength=256), 1)
    sums = [np.bincount(indices.reshape(-1), frame[..., c].reshape(-1), minlength=256) for c in range(3)]
    palette = np.round(np.stack(sums, axis=-1) / counts[:, None]).astype(np.uint8)
    return np.asarray(palette[indices])


def frame_durations(seconds: Sequence[float], end_seconds: float, unit_seconds: float) -> list[int]:
    """Compute how long each frame is shown, in milliseconds.

    Each duration is a whole number of units, at least one. Rounding errors do not add up.
    """
    ticks = np.round(np.asarray([*seconds, end_seconds]) / unit_seconds).astype(int)
    return [max(1, int(step)) * round(unit_seconds * 1000) for step in np.diff(ticks)]
