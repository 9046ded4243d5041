"""The sound of a source, cut, shifted and muxed beside a video while that is written.

A source's container counts time from its own zero; vidcam's seconds count from the first displayed frame. Sound is
shifted by the same amount as the picture, so that both stay together. Packets are copied where the container admits
the codec, otherwise decoded and encoded as AAC, for WebM as Opus; one packet before the cut is kept, hidden by the edit
list, because the codecs overlap their packets. Sound that cannot be read is dropped, or ends early, with a warning: the
picture matters more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import TypeAlias, cast

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.codec.context import Flags as CodecFlags
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from vidcam.errors import MediaError
from vidcam.video.container import open_input, video_stream
from vidcam.video.packets import decoded_frames, read_packets

_logger = logging.getLogger(__name__)

_COPIED_CODECS = {"mp4": ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"), "webm": ("opus", "vorbis")}
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_BITS_PER_SECOND = 160_000
_ENCODERS = {"mp4": ("aac", 1024), "webm": ("libopus", 960)}
"""Container → encoder and the samples of its packets."""

_Packets: TypeAlias = "Iterator[Packet[AudioStream]]"  # in quotes: Packet is generic in the stubs alone


@dataclass(frozen=True, slots=True)
class _Cut:
    """The part of a source that is wanted, in seconds of the source's container: [start, end)."""

    start: Fraction
    end: Fraction | None

    def is_before(self, seconds: Fraction) -> bool:
        return seconds <= self.start

    def is_after(self, seconds: Fraction) -> bool:
        return self.end is not None and seconds >= self.end


class Sound:
    """Packets of sound waiting to be muxed, read as they are needed.

    Args:
        container: where they go.
        source: the file they come from; closed with this object.
        packets: ready for muxing, time stamps increasing.
    """

    def __init__(self, container: OutputContainer, source: InputContainer, packets: _Packets):
        self._container = container
        self._source = source
        self._packets = packets
        self._waiting: Packet[AudioStream] | None = None

    def mux_until(self, seconds: Fraction | None = None) -> None:
        """Mux all packets that begin before `seconds` of the output; None: all that are left."""
        while (packet := self._next()) is not None:
            if seconds is not None and (packet.pts or 0) * packet.time_base >= seconds:
                return
            self._waiting = None
            self._container.mux(packet)

    def close(self) -> None:
        """Release the source."""
        self._source.close()

    def _next(self) -> Packet[AudioStream] | None:
        if self._waiting is None:
            self._waiting = next(self._packets, None)
        return self._waiting


def open_sound(
    container: OutputContainer,
    path: str | os.PathLike[str],
    *,
    start_seconds: float,
    end_seconds: float | None,
) -> Sound | None:
    """Add a stream of sound to `container`; None if the file at `path` has no sound, or none that can be read.

    Args:
        container: an MP4 or WebM whose header is not written yet.
        path: the source.
        start_seconds: the output's zero, counted from the source's first displayed frame.
        end_seconds: where the sound is cut, on the same clock; None: at its end.

    Raises:
        MediaError: the source cannot be opened.
    """
    name = os.fspath(path)
    zero = _picture_start(name)
    end = None if end_seconds is None else zero + Fraction(end_seconds)
    cut = _Cut(zero + Fraction(start_seconds), end)
    source = open_input(name)
    try:
        stream = source.streams.best("audio")
        if isinstance(stream, AudioStream):
            convert = _converter(container, stream, cut)
            return Sound(container, source, _guarded(name, convert(_packets_from(source, stream, cut.start))))
    except (av.FFmpegError, ValueError) as exc:
        _logger.warning("the sound of %r can be neither copied nor transcoded (%s); the output is silent", name, exc)
    source.close()
    return None


def _converter(container: OutputContainer, stream: AudioStream, cut: _Cut) -> Callable[[_Packets], _Packets]:
    """Adds the output's stream, and tells how packets of `stream` become packets of it."""
    if getattr(stream, "codec_context", None) is None:
        raise ValueError("its codec is unknown; expected one that FFmpeg can decode; convert the sound")
    kind = container.format.name
    if stream.codec_context.codec.canonical_name in _COPIED_CODECS[kind]:
        copy = container.add_stream_from_template(stream)
        return lambda packets: _copied(packets, copy, cut)
    name, samples = _ENCODERS[kind]
    rate = min(_AAC_RATES, key=lambda known: abs(known - stream.rate)) if name == "aac" else 48_000
    encoder = cast("AudioStream", container.add_stream(name, rate=rate, bit_rate=_BITS_PER_SECOND))
    encoder.layout = "mono" if stream.codec_context.channels == 1 else "stereo"
    encoder.codec_context.flags |= CodecFlags.bitexact
    return lambda packets: _transcoded(packets, encoder, cut, samples)


def _copied(packets: _Packets, copy: AudioStream, cut: _Cut) -> _Packets:
    unit = Fraction(1, copy.codec_context.sample_rate)  # a source's own unit may be a whole packet: too coarse to shift
    last: int | None = None
    for packet in packets:
        if packet.pts is None or not packet.size:
            continue
        begin, duration = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
        if cut.is_after(begin):
            return
        if cut.is_before(begin + 2 * duration) or (last is not None and packet.pts <= last):
            continue
        last = packet.pts
        packet.stream = copy
        packet.pts = packet.dts = round((begin - cut.start) / unit)
        packet.duration, packet.time_base = round(duration / unit), unit
        yield packet


def _transcoded(packets: _Packets, encoder: AudioStream, cut: _Cut, samples: int) -> _Packets:
    rate = encoder.rate
    form = "fltp" if encoder.codec_context.name == "aac" else "flt"
    encoder.codec_context.format = form
    resampler = AudioResampler(format=form, layout=encoder.layout.name, rate=rate, frame_size=samples)
    frames = (frame for packet in packets for frame in packet.decode() if frame.pts is not None)
    for frame in chain.from_iterable(resampler.resample(frame) for frame in chain(frames, [None])):
        begin = (frame.pts or 0) * (frame.time_base or Fraction(1, rate))
        if cut.is_after(begin):
            break
        if cut.is_before(begin + Fraction(frame.samples, rate)):
            continue
        frame.pts, frame.time_base = round((begin - cut.start) * rate), Fraction(1, rate)
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def _guarded(name: str, packets: _Packets) -> _Packets:
    try:
        yield from packets
    except (av.FFmpegError, ValueError) as exc:
        _logger.warning("the sound of %r cannot be read any further (%s); the output is silent from there", name, exc)


def _packets_from(source: InputContainer, stream: AudioStream, start: Fraction) -> _Packets:
    """Packets from a little before `start` seconds; from the beginning where the demuxer lands too late."""
    time_base = stream.time_base or Fraction(1, stream.rate)
    if start <= 1:
        return source.demux(stream)
    with suppress(av.FFmpegError):  # a format that cannot seek stays at the beginning
        source.seek(int((start - 1) / time_base), stream=stream)
    packets = source.demux(stream)
    first = next(packets)
    if first.pts is not None and first.pts * time_base <= start:
        return chain([first], packets)
    source.seek(stream.start_time or 0, stream=stream)
    return source.demux(stream)


def _picture_start(name: str) -> Fraction:
    """Container time of the first displayed frame, in seconds; 0 in a file without pictures."""
    with open_input(name) as source:
        try:
            stream = video_stream(source, name)
        except MediaError:
            return Fraction(0)
        tick = next((tick for tick, _ in decoded_frames(read_packets(source, stream), 1)), 0)
        return tick * (stream.time_base or Fraction(0))
