"""Copy the audio of a source into a video that is being written: cut, shifted in time, and muxed.

A container counts time from its own zero, but vidcam's seconds count from the first displayed frame. Audio and video
are shifted by the same amount, so they stay in sync. Where the time stamps start again or jump, the pictures' clock
says by how much.

Packets are copied if the output's container supports the codec. Otherwise they are transcoded to AAC, or to Opus for
WebM. One packet before the cut is kept, because the packets of these codecs overlap; the edit list hides it. If audio
cannot be read, it is dropped or ends early with a warning, because the video is more important.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
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
from vidcam.media import ClockPiece
from vidcam.video.clock import SoundClock
from vidcam.video.container import open_input, video_stream
from vidcam.video.packets import decoded_frames, read_packets

_logger = logging.getLogger(__name__)

_COPIED_CODECS = {"mp4": ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"), "webm": ("opus", "vorbis")}
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LOST_SECONDS = Fraction(1, 4)
"""Sound that is left out is said from this length on."""

_BITS_PER_SECOND = 160_000
_ENCODERS = {"mp4": ("aac", 1024), "webm": ("libopus", 960)}
"""Container → encoder, and the number of samples in its packets."""

_Packets: TypeAlias = "Iterator[Packet[AudioStream]]"  # in quotes, because Packet is generic only in the type stubs


@dataclass(frozen=True, slots=True)
class _TimeRange:
    """The part of the source to copy, [start, end), in seconds of the source's container; end None: to its end."""

    start: Fraction
    end: Fraction | None

    def is_before(self, seconds: Fraction) -> bool:
        return seconds <= self.start

    def is_after(self, seconds: Fraction) -> bool:
        return self.end is not None and seconds >= self.end


class AudioMuxer:
    """Read audio packets as they are needed, and mux them.

    Args:
        container: the output.
        source: the file that the packets come from; closed with this object.
        packets: packets for the output, with increasing time stamps.
    """

    def __init__(self, container: OutputContainer, source: InputContainer, packets: _Packets):
        self._container = container
        self._source = source
        self._packets = packets
        self._pending: Packet[AudioStream] | None = None

    def mux_until(self, seconds: Fraction | None = None) -> None:
        """Mux all packets that begin before `seconds` of the output; None: all remaining packets."""
        while (packet := self._next()) is not None:
            if seconds is not None and (packet.pts or 0) * packet.time_base >= seconds:
                return
            self._pending = None
            self._container.mux(packet)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _next(self) -> Packet[AudioStream] | None:
        if self._pending is None:
            self._pending = next(self._packets, None)
        return self._pending


def add_audio(
    container: OutputContainer,
    path: str | os.PathLike[str],
    *,
    start_seconds: float,
    end_seconds: float | None,
    clock: Sequence[ClockPiece] = (),
    warn: Callable[[str], None] = _logger.warning,
) -> AudioMuxer | None:
    """Add an audio stream to `container`.

    Args:
        container: an MP4 or WebM whose header is not written yet.
        path: the source.
        start_seconds: the output's zero, counted from the source's first displayed frame.
        end_seconds: end of the audio, counted in the same way; None: the end of the source.
        clock: how the source's time stamps become seconds (`VideoInfo.clock`); empty: counted from its first frame.
        warn: called with a sentence if sound is lost; also later, while packets are read.

    Returns:
        What muxes the audio; None if the source has no audio, or none that can be read.

    Raises:
        MediaError: the source cannot be opened.
    """
    name = os.fspath(path)
    zero = Fraction(0) if len(clock) > 1 else -clock[0].shift_seconds if clock else _video_start(name)
    end = None if end_seconds is None else zero + Fraction(end_seconds)
    time_range = _TimeRange(zero + Fraction(start_seconds), end)
    source = open_input(name)
    try:
        stream = source.streams.best("audio")
        if isinstance(stream, AudioStream):
            convert = _add_stream(container, stream, time_range)
            if len(clock) > 1:
                packets = convert(_moved(source.demux(stream), SoundClock(clock), warn))
            else:
                packets = convert(_packets_from(source, stream, time_range.start))
            return AudioMuxer(container, source, _stop_at_error(packets, warn))
    except (av.FFmpegError, ValueError) as exc:
        warn(f"the sound can be neither copied nor transcoded ({exc}); the output has no sound")
    source.close()
    return None


def _add_stream(
    container: OutputContainer, stream: AudioStream, time_range: _TimeRange
) -> Callable[[_Packets], _Packets]:
    """Add the output's audio stream; return the function that converts packets of `stream` for it."""
    if getattr(stream, "codec_context", None) is None:
        raise ValueError("its codec is unknown")
    format_name = container.format.name
    if stream.codec_context.codec.canonical_name in _COPIED_CODECS[format_name]:
        copy = container.add_stream_from_template(stream)
        return lambda packets: _copy_packets(packets, copy, time_range)
    name, samples = _ENCODERS[format_name]
    rate = min(_AAC_RATES, key=lambda aac_rate: abs(aac_rate - stream.rate)) if name == "aac" else 48_000
    encoder = cast("AudioStream", container.add_stream(name, rate=rate, bit_rate=_BITS_PER_SECOND))
    encoder.layout = "mono" if stream.codec_context.channels == 1 else "stereo"
    encoder.codec_context.flags |= CodecFlags.bitexact
    return lambda packets: _transcode_packets(packets, encoder, time_range, samples)


def _copy_packets(packets: _Packets, copy: AudioStream, time_range: _TimeRange) -> _Packets:
    # The source's time base may be a whole packet, which is too coarse for the shift.
    unit = Fraction(1, copy.codec_context.sample_rate)
    last_pts: int | None = None
    for packet in packets:
        if packet.pts is None or not packet.size:
            continue
        begin, duration = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
        if time_range.is_after(begin):
            return
        if time_range.is_before(begin + 2 * duration) or (last_pts is not None and packet.pts <= last_pts):
            continue
        last_pts = packet.pts
        packet.stream = copy
        packet.pts = packet.dts = round((begin - time_range.start) / unit)
        packet.duration, packet.time_base = round(duration / unit), unit
        yield packet


def _transcode_packets(packets: _Packets, encoder: AudioStream, time_range: _TimeRange, samples: int) -> _Packets:
    rate = encoder.rate
    sample_format = "fltp" if encoder.codec_context.name == "aac" else "flt"
    encoder.codec_context.format = sample_format
    resampler = AudioResampler(format=sample_format, layout=encoder.layout.name, rate=rate, frame_size=samples)
    frames = (frame for packet in packets for frame in packet.decode() if frame.pts is not None)
    for frame in chain.from_iterable(resampler.resample(frame) for frame in chain(frames, [None])):
        begin = (frame.pts or 0) * (frame.time_base or Fraction(1, rate))
        if time_range.is_after(begin):
            break
        if time_range.is_before(begin + Fraction(frame.samples, rate)):
            continue
        frame.pts, frame.time_base = round((begin - time_range.start) * rate), Fraction(1, rate)
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def _moved(packets: _Packets, clock: SoundClock, warn: Callable[[str], None]) -> _Packets:
    """Move the packets to where the pictures are; leave out those that would lie before the end of the ones before."""
    end, lost = Fraction(-(1 << 40)), Fraction(0)
    for packet in packets:
        if packet.pts is None or not packet.size:
            continue
        unit, duration = packet.time_base, (packet.duration or 0) * packet.time_base
        begin = clock(packet.pts * unit)
        if begin < end - duration / 2:
            lost += duration
            continue
        end = begin + duration
        packet.pts = packet.dts = round(begin / unit)
        yield packet
    if lost >= _LOST_SECONDS:
        warn(f"{float(lost):.3g} s of the sound are left out, because they overlap the sound before them")


def _stop_at_error(packets: _Packets, warn: Callable[[str], None]) -> _Packets:
    try:
        yield from packets
    except (av.FFmpegError, ValueError) as exc:
        warn(f"the sound cannot be read any further ({exc}); the output is silent from there")


def _packets_from(source: InputContainer, stream: AudioStream, start: Fraction) -> _Packets:
    """Read packets from shortly before `start` seconds, or from the beginning if the demuxer lands too late."""
    time_base = stream.time_base or Fraction(1, stream.rate)
    if start <= 1:
        return source.demux(stream)
    with suppress(av.FFmpegError):  # if the format cannot seek, reading starts at the beginning
        source.seek(int((start - 1) / time_base), stream=stream)
    packets = source.demux(stream)
    first = next(packets)
    if first.pts is not None and first.pts * time_base <= start:
        return chain([first], packets)
    source.seek(stream.start_time or 0, stream=stream)
    return source.demux(stream)


def _video_start(name: str) -> Fraction:
    """Return the container time of the first displayed frame, in seconds; 0 if the file has no video."""
    with open_input(name) as source:
        try:
            stream = video_stream(source, name)
        except MediaError:
            return Fraction(0)
        tick = next((tick for tick, _ in decoded_frames(read_packets(source, stream), 1)), 0)
        return tick * (stream.time_base or Fraction(0))
