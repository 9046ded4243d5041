"""Writing video: streamed into H.264 in an MP4, or another codec or WebM, with the sound of the source.

Time stamps are kept exactly, constant or variable; a frame lasts until the next one, the last one until the end that
was announced. There are no B-frames, so that decoding and display order agree and the durations in the file are true.
Nothing half-written is ever seen under the final name: frames go to a hidden file beside it, renamed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av.codec.context import Flags as CodecFlags
from av.container import OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from vidcam.errors import EncodeError, ShapeError
from vidcam.media import Frames
from vidcam.system.atomic import AtomicFile
from vidcam.video.container import encode_errors
from vidcam.video.encoders import H264, Encoder, encoder_of, quiet
from vidcam.video.pixels import BT709, YuvEncoder
from vidcam.video.sound import Sound, open_sound

_FALLBACK_TIME_BASE = Fraction(1, 90_000)
_COARSEST_DENOMINATOR = 10_000
_FINEST_DENOMINATOR = 10_000_000


class VideoWriter:
    """Write frames as they come; a context manager that leaves a whole file, or after an exception none.

    Args:
        path: the destination; a name that ends in .webm becomes a WebM, any other an MP4.
        size: (height, width) of the frames; an odd one is padded by its last row or column.
        fps: nominal frame rate; it sets the last frame's duration if `duration_seconds` is not given.
        time_base: the source's unit of time in seconds: its whole multiples are kept exactly. Other times are rounded
            to a fraction of it, at most 0.1 ms; a unit too fine for MP4 is replaced by 1/90000 s.
        duration_seconds: end of the last frame's display.
        audio_from: a media file whose sound is added: copied where the container admits its codec, else transcoded to
            AAC, for WebM to Opus.
        audio_start_seconds: which second of the source, counted from its first displayed frame, is the output's zero.
        audio_end_seconds: where the sound is cut, on the same clock; None: it is taken whole.
        overwrite: whether an existing file at `path` is replaced.
        encoder: with its quality and preset; see `encoders`.
        crf: of x264, another constant quality than the encoder's, 0 (lossless) to 51.
        preset: of x264, another one.

    Raises:
        OutputError: the destination exists, its folder does not, or it cannot be written.
        MediaError: `audio_from` cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        size: tuple[int, int],
        fps: Fraction,
        time_base: Fraction,
        duration_seconds: float | None = None,
        audio_from: str | os.PathLike[str] | None = None,
        audio_start_seconds: float = 0.0,
        audio_end_seconds: float | None = None,
        overwrite: bool = False,
        encoder: Encoder = H264,
        crf: int | None = None,
        preset: str | None = None,
    ) -> None:
        self._is_over = False
        self._path = Path(path)
        self._size = size
        self._time_base = _fine_time_base(time_base)
        self._usual_ticks = max(1, round(1 / (fps * self._time_base)))
        self._end_tick = None if duration_seconds is None else self._tick_of(duration_seconds)
        self._to_yuv = YuvEncoder()
        self._last_tick = -1
        self._waiting: Packet[VideoStream] | None = None
        self._sound: Sound | None = None
        if crf is not None or preset is not None:
            encoder = encoder_of("libx264", preset=preset, quality=crf)
        self._file = AtomicFile(self._path, overwrite=overwrite)
        with encode_errors(self._path):
            self._container = _open_output(self._file)
        with self._or_nothing():
            self._stream = _add_stream(self._container, size, fps, self._time_base, encoder)
            if audio_from is not None:
                self._sound = open_sound(
                    self._container, audio_from, start_seconds=audio_start_seconds, end_seconds=audio_end_seconds
                )

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Encode one frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            pts_seconds: when it is first displayed, counted from the output's start; >= 0 and increasing.

        Raises:
            ShapeError: the frame or its time does not fit.
            EncodeError: the encoder or the disk failed, or the writer is closed.
        """
        if self._is_over:
            raise EncodeError(f"the writer of '{self._path}' is closed; expected an open one; make a new one")
        with self._or_nothing():
            self._check(frame, pts_seconds)
            picture = self._to_yuv(frame)
            picture.pts = self._last_tick = self._tick_of(pts_seconds)
            picture.time_base = self._time_base
            self._mux(self._stream.encode(picture))

    def close(self, duration_seconds: float | None = None) -> None:
        """Finish the file and give it its name; closing twice is fine.

        Args:
            duration_seconds: end of the last frame's display, if it was not known before.

        Raises:
            EncodeError: no frame was written, or the encoder or the disk failed.
        """
        if self._is_over:
            return
        if duration_seconds is not None:
            self._end_tick = self._tick_of(duration_seconds)
        with self._or_nothing():
            self._finish()
            self._file.commit()
        self._is_over = True

    def abort(self) -> None:
        """Leave nothing behind; after `close` there is nothing to do."""
        if self._is_over:
            return
        self._is_over = True
        with suppress(av.FFmpegError, OSError):
            self._release()
        self._file.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Whatever fails inside the block, the temporary file goes; failures of encoder and disk become EncodeError."""
        try:
            with encode_errors(self._path):
                yield
        except BaseException:
            self.abort()
            raise

    def _check(self, frame: Frames, pts_seconds: float) -> None:
        if frame.shape != (*self._size, 3) or frame.dtype != np.uint8:
            raise ShapeError(f"frame must be {(*self._size, 3)} uint8, got {frame.shape = }, {frame.dtype = }")
        if not self._tick_of(pts_seconds) > self._last_tick:
            raise ShapeError(
                f"pts_seconds must be >= 0 and increase by at least {self._time_base} s, got {pts_seconds} after "
                f"{float(self._last_tick * self._time_base)}"
            )

    def _tick_of(self, seconds: float) -> int:
        return round(seconds * self._time_base.denominator / self._time_base.numerator)

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        """Mux what the encoder gave, one packet late: its duration is known when the next one comes."""
        for packet in packets:
            if self._waiting is not None:
                self._mux_waiting(self._waiting, _pts(packet))
            self._waiting = packet

    def _mux_waiting(self, packet: Packet[VideoStream], end_tick: int) -> None:
        packet.duration = end_tick - _pts(packet)
        if end_tick <= _pts(packet):
            raise EncodeError(
                f"the encoder of '{self._path}' stores frames in another order than they are displayed, expected one "
                "without B-frames; choose another encoder"
            )
        if self._sound is not None:
            self._sound.mux_until(_pts(packet) * self._time_base)
        self._container.mux(packet)

    def _finish(self) -> None:
        self._mux(self._stream.encode(None))
        if self._waiting is None:
            raise EncodeError(f"no frame was written to '{self._path}'; expected at least one; check the input")
        last = _pts(self._waiting)
        end_tick = last + self._usual_ticks if self._end_tick is None else self._end_tick
        self._mux_waiting(self._waiting, max(end_tick, last + 1))
        if self._sound is not None:
            self._sound.mux_until(None)
        self._release()

    def _release(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._container.close()


def _pts(packet: Packet[VideoStream]) -> int:
    return packet.pts or 0  # never None: the encoder keeps the time stamps that frames were given


def _fine_time_base(time_base: Fraction) -> Fraction:
    """A unit of which `time_base` is a whole multiple, fine enough for times that are not, if MP4 can express one."""
    denominator = time_base.denominator
    while denominator < _COARSEST_DENOMINATOR:
        denominator *= 2
    return Fraction(1, denominator) if denominator <= _FINEST_DENOMINATOR else _FALLBACK_TIME_BASE


def _open_output(file: AtomicFile) -> OutputContainer:
    # bitexact: no library versions and no creation time; faststart: the index comes first, players can start at once.
    kind, options = "mp4", {"fflags": "+bitexact", "movflags": "+faststart"}
    if file.path.suffix.lower() == ".webm":
        kind, options = "webm", {"fflags": "+bitexact"}
    try:
        return av.open(f"file:{file.part}", "w", format=kind, container_options=options)
    except BaseException:
        file.discard()
        raise


def _add_stream(
    container: OutputContainer, size: tuple[int, int], fps: Fraction, time_base: Fraction, encoder: Encoder
) -> VideoStream:
    quiet(encoder)
    stream = cast("VideoStream", container.add_stream(encoder.name, rate=fps, options=dict(encoder.options)))
    context = stream.codec_context
    context.height, context.width = (length + length % 2 for length in size)
    context.pix_fmt = "yuv420p"
    context.time_base = stream.time_base = time_base
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = ColorRange.MPEG
    context.flags |= CodecFlags.bitexact
    if encoder.codec == "hevc":
        context.codec_tag = "hvc1"  # Apple's players open no other
    return stream
