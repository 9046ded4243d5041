"""Write video files frame by frame: H.264 in MP4, or another codec or WebM, with the audio of the source.

Time stamps are kept exactly, at a constant or a variable frame rate. A frame lasts until the next one; the last one
lasts until `duration_seconds`. There are no B-frames, so decoding order and display order agree and the durations in
the file are exact. A file that is not finished stays: the caller writes in a hidden folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
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
from vidcam.media import ClockPiece, Frames
from vidcam.video.audio import AudioMuxer, add_audio
from vidcam.video.container import encode_errors
from vidcam.video.encoders import H264, Encoder, silence_encoder
from vidcam.video.pixels import BT709, YuvConverter

_logger = logging.getLogger(__name__)

_DEFAULT_TIME_BASE = Fraction(1, 90_000)
_MIN_DENOMINATOR = 10_000
_MAX_DENOMINATOR = 10_000_000


class VideoWriter:
    """Write frames to a video file as they arrive.

    A context manager.

    Args:
        path: the file, which is replaced; a name that ends in .webm becomes a WebM, any other an MP4.
        size: (height, width) of the frames. H.264 and HEVC store even sizes: the last row or column is repeated.
        fps: nominal frame rate; it sets the last frame's duration if `duration_seconds` is None.
        time_base: the source's time base in seconds. Multiples of it are kept exactly. Other times are rounded to a
            fraction of it, of at most 0.1 ms. A time base too fine for MP4 is replaced by 1/90000 s.
        duration_seconds: end of the last frame's display.
        audio_from: a media file whose audio is added. It is copied if the container supports its codec, otherwise
            transcoded to AAC, or to Opus for WebM.
        audio_start_seconds: the second of the source, counted from its first displayed frame, that is the output's
            zero.
        audio_end_seconds: end of the audio, counted in the same way; None: the end of the source.
        audio_clock: how the source's time stamps become seconds (`VideoInfo.clock`); empty: its first frame is zero.
        on_lost_audio: called with a sentence if sound is lost, also while frames are written; None: it is logged.
        encoder: the encoder with its options; see `encoders`.

    Raises:
        EncodeError: the file cannot be written.
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
        audio_clock: Sequence[ClockPiece] = (),
        on_lost_audio: Callable[[str], None] | None = None,
        encoder: Encoder = H264,
    ) -> None:
        self._is_closed = False
        self._path = Path(path)
        self._size = size
        self._time_base = _fine_time_base(time_base)
        self._nominal_ticks = max(1, round(1 / (fps * self._time_base)))
        self._end_tick = None if duration_seconds is None else self._tick_of(duration_seconds)
        self._last_tick = -1
        self._pending: Packet[VideoStream] | None = None
        self._audio: AudioMuxer | None = None
        self._to_yuv = YuvConverter(encoder.stored_size(size))
        with encode_errors(self._path):
            self._container = _open_output(self._path)
        with self._abort_on_error():
            self._stream = _add_stream(self._container, size, fps, self._time_base, encoder)
            if audio_from is not None:
                self._audio = add_audio(
                    self._container,
                    audio_from,
                    start_seconds=audio_start_seconds,
                    end_seconds=audio_end_seconds,
                    clock=audio_clock,
                    warn=_logger.warning if on_lost_audio is None else on_lost_audio,
                )

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Encode one frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            pts_seconds: when it is first displayed, counted from the output's start; >= 0 and increasing.

        Raises:
            ShapeError: the frame has another shape or dtype, or its time does not increase.
            EncodeError: the encoder or the disk failed, or the writer is closed.
        """
        if self._is_closed:
            raise EncodeError(f"the writer of '{self._path.name}' is closed; make a new one")
        with self._abort_on_error():
            self._check(frame, pts_seconds)
            yuv = self._to_yuv(frame)
            yuv.pts = self._last_tick = self._tick_of(pts_seconds)
            yuv.time_base = self._time_base
            self._mux(self._stream.encode(yuv))

    def close(self) -> None:
        """Finish the file; closing twice is allowed.

        Raises:
            EncodeError: no frame was written, or the encoder or the disk failed.
        """
        if self._is_closed:
            return
        with self._abort_on_error():
            self._finish()
        self._is_closed = True

    def abort(self) -> None:
        """Stop writing and leave the file as it is; after `close` this does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(av.FFmpegError, OSError):
            self._release()

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
    def _abort_on_error(self) -> Iterator[None]:
        """Stop writing if the block fails; errors of the encoder and the disk become EncodeError."""
        try:
            with encode_errors(self._path):
                yield
        except BaseException:
            self.abort()
            raise

    def _check(self, frame: Frames, pts_seconds: float) -> None:
        if frame.shape != (*self._size, 3) or frame.dtype != np.uint8:
            raise ShapeError(f"frame must be {(*self._size, 3)} uint8, got {frame.shape} {frame.dtype}")
        if not self._tick_of(pts_seconds) > self._last_tick:
            raise ShapeError(
                f"pts_seconds must be >= 0 and increase by at least {self._time_base} s, got {pts_seconds} after "
                f"{float(self._last_tick * self._time_base)}"
            )

    def _tick_of(self, seconds: float) -> int:
        return round(seconds * self._time_base.denominator / self._time_base.numerator)

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        """Mux packets of the encoder, each one when the next one is there, because only then its duration is known."""
        for packet in packets:
            if self._pending is not None:
                self._mux_packet(self._pending, _pts(packet))
            self._pending = packet

    def _mux_packet(self, packet: Packet[VideoStream], end_tick: int) -> None:
        packet.duration = end_tick - _pts(packet)
        if end_tick <= _pts(packet):
            raise EncodeError(
                f"the encoder of '{self._path.name}' reorders frames (B-frames); choose another --encoder"
            )
        if self._audio is not None:
            self._audio.mux_until(_pts(packet) * self._time_base)
        self._container.mux(packet)

    def _finish(self) -> None:
        self._mux(self._stream.encode(None))
        if self._pending is None:
            raise EncodeError(f"no frame was written to '{self._path.name}'; write at least one")
        last = _pts(self._pending)
        end_tick = last + self._nominal_ticks if self._end_tick is None else self._end_tick
        self._mux_packet(self._pending, max(end_tick, last + 1))
        if self._audio is not None:
            self._audio.mux_until(None)
        self._release()

    def _release(self) -> None:
        if self._audio is not None:
            self._audio.close()
        self._container.close()


def _pts(packet: Packet[VideoStream]) -> int:
    return packet.pts or 0  # never None, because the encoder keeps the time stamps of the frames


def _fine_time_base(time_base: Fraction) -> Fraction:
    """Return a time base of at most 0.1 ms that divides `time_base`; if MP4 cannot express it, 1/90000 s."""
    denominator = time_base.denominator
    while denominator < _MIN_DENOMINATOR:
        denominator *= 2
    return Fraction(1, denominator) if denominator <= _MAX_DENOMINATOR else _DEFAULT_TIME_BASE


def _open_output(path: Path) -> OutputContainer:
    # bitexact leaves out library versions and the creation time. faststart writes the index first, so that players can
    # start at once.
    format_name, options = "mp4", {"fflags": "+bitexact", "movflags": "+faststart"}
    if path.suffix.lower() == ".webm":
        format_name, options = "webm", {"fflags": "+bitexact"}
    return av.open(f"file:{path}", "w", format=format_name, container_options=options)


def _add_stream(
    container: OutputContainer, size: tuple[int, int], fps: Fraction, time_base: Fraction, encoder: Encoder
) -> VideoStream:
    silence_encoder(encoder)
    options = dict(encoder.options)
    if encoder.codec in {"h264", "hevc"}:
        options["chroma_sample_location"] = "center"  # as `YuvConverter` has it; untagged means left
    stream = cast("VideoStream", container.add_stream(encoder.name, rate=fps, options=options))
    context = stream.codec_context
    context.height, context.width = encoder.stored_size(size)
    context.pix_fmt = "yuv420p"
    context.time_base = stream.time_base = time_base
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = ColorRange.MPEG
    context.flags |= CodecFlags.bitexact
    if encoder.codec == "hevc":
        context.codec_tag = "hvc1"  # the only tag that Apple's players open
    return stream
