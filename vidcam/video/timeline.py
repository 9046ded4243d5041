"""When each frame of a file is displayed, found without decoding where the container can be trusted.

Time stamps are whole numbers of the stream's time base ("ticks"). Packets that an edit list hides are not displayed.
Decoders hand out frames in the order of display. Where their time stamps are in another order (packed B-frames in
AVI), the frames take the sorted time stamps; where time stamps repeat, a frame that does not lie after the one before
it is dropped. Reading does the same, so that both agree.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidcam.errors import MediaError
from vidcam.media import Seconds
from vidcam.video.container import media_errors, open_input, video_stream

Ticks = NDArray[np.int64]

_logger = logging.getLogger(__name__)

# Containers that store each frame's own time stamp, and codecs that display one frame for each packet.
_EXACT_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
_EXACT_CODECS = ("h264", "hevc", "vp9", "av1")

_PACKET = np.dtype(
    [("pts", np.int64), ("has_pts", np.bool_), ("is_key", np.bool_), ("is_hidden", np.bool_), ("duration", np.int64)]
)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The displayed frames of one stream.

    Attributes:
        ticks: (F,) int64, strictly increasing, F >= 1; when each frame is first displayed.
        key_ticks: (G,) int64, increasing; where decoding can start. Empty: only at the beginning of the file.
        end_tick: when the last frame's display ends.
        step_ticks: the usual distance of two frames, >= 1.
        time_base: seconds in a tick.
        is_counted: whether the k-th decoded frame is the k-th of `ticks`, whatever its own time stamp says.
    """

    ticks: Ticks = field(repr=False)
    key_ticks: Ticks = field(repr=False)
    end_tick: int
    step_ticks: int
    time_base: Fraction
    is_counted: bool = False

    def seconds(self) -> Seconds:
        """(F,) float64, counted from the first displayed frame."""
        units = (self.ticks - self.ticks[0]) * self.time_base.numerator
        return np.asarray(units / self.time_base.denominator, np.float64)

    def duration(self) -> Fraction:
        """Exact seconds from the first frame's display to the end of the last one's."""
        return (self.end_tick - int(self.ticks[0])) * self.time_base


@dataclass(frozen=True, slots=True, eq=False)
class _Packets:
    """What demuxing shows: one row of _PACKET for each packet."""

    rows: NDArray[np.void]

    def displayed(self) -> Ticks:
        return self._times(~self.rows["is_hidden"])

    def keys(self) -> Ticks:
        return self._times(self.rows["is_key"])

    def duration_at(self, tick: int) -> int:
        return int(self.rows["duration"][self.rows["pts"] == tick].max(initial=0))

    def is_exact(self) -> bool:
        """Whether every packet has its own time, and none lies before the first key frame and thus undecodable."""
        displayed, keys = self.displayed(), self.keys()
        has_own_time = self.rows["has_pts"].all() and np.unique(self.rows["pts"]).size == self.rows.size
        return bool(has_own_time and displayed.size and keys.size and keys[0] <= displayed[0])

    def _times(self, chosen: NDArray[np.bool_]) -> Ticks:
        return np.unique(self.rows["pts"][chosen & self.rows["has_pts"]])


def scan_timeline(path: str) -> Timeline:
    """Find the time stamps of all displayed frames.

    Demuxes the whole stream; decodes it as well where packets alone do not tell (AVI, GIF, MPEG-4, VP8, …).

    Raises:
        MediaError: no frame can be decoded, or the file cannot be read.
    """
    with open_input(path) as container, media_errors(path):
        stream = video_stream(container, path)
        is_known = (
            container.format.name in _EXACT_FORMATS and stream.codec_context.codec.canonical_name in _EXACT_CODECS
        )
        packets = _demux(container, stream)
        time_base, rate = stream.time_base or Fraction(1, 1000), stream.average_rate or Fraction(25)
    step = max(1, round(1 / (rate * time_base)))
    ticks, keys, is_counted = packets.displayed(), packets.keys(), False
    if not (is_known and packets.is_exact()):
        decoded = _decode_ticks(path, step)
        if not np.array_equal(decoded, ticks):
            ticks, is_counted = _in_order(decoded)
            keys = np.empty(0, np.int64)
    if not ticks.size:
        raise MediaError(f"no frame of {path!r} can be decoded; expected a video; check that it plays")
    end_tick = int(ticks[-1]) + (packets.duration_at(int(ticks[-1])) or step)
    return Timeline(ticks, keys, end_tick, step, time_base, is_counted)


def decoded_frames(packets: Iterable[Packet[VideoStream]], step_ticks: int) -> Iterator[tuple[int, VideoFrame]]:
    """Decode packets into (tick, frame), in the order of display.

    A packet that cannot be decoded is skipped; a frame without a time stamp follows the one before it by `step_ticks`.
    """
    tick = -step_ticks
    for packet in packets:
        for frame in _decode(packet):
            stamp = frame.pts if frame.pts is not None else frame.dts
            tick = tick + step_ticks if stamp is None else stamp
            yield tick, frame


def _decode(packet: Packet[VideoStream]) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.InvalidDataError as exc:
        _logger.debug("a packet at pts %s was skipped: %s", packet.pts, exc)
        return []


def _demux(container: InputContainer, stream: VideoStream) -> _Packets:
    rows = (
        (packet.pts or 0, packet.pts is not None, packet.is_keyframe, packet.is_discard, packet.duration or 0)
        for packet in container.demux(stream)
        if packet.size
    )
    return _Packets(np.fromiter(rows, _PACKET))


def _decode_ticks(path: str, step: int) -> Ticks:
    """The time stamps of all frames, in the order in which the decoder hands them out."""
    with open_input(path) as container, media_errors(path):
        packets = container.demux(video_stream(container, path))
        return np.array([tick for tick, _ in decoded_frames(packets, step)], np.int64)


def _in_order(decoded: Ticks) -> tuple[Ticks, bool]:
    """Strictly increasing ticks, and whether they are the decoded ones merely sorted."""
    ordered = np.unique(decoded)
    if ordered.size == decoded.size:
        return ordered, True
    is_later = decoded[1:] > np.maximum.accumulate(decoded)[:-1]
    return decoded[np.concatenate([[True], is_later])], False
