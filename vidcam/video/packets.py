"""Packets and what is decoded from them, whatever the state of the file.

Demuxing goes on after a damaged place and ends where nothing more can be read; a packet that cannot be decoded is
skipped. Nothing here raises for damage in the middle of a file: the caller is told of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

Ticks = NDArray[np.int64]

_logger = logging.getLogger(__name__)

_ATTEMPTS = 16
"""Errors of the demuxer after which the rest of a file is given up."""

_FARTHEST_TICK = 1 << 61
"""Time stamps beyond are damage, and their differences would not fit into 64 bits: they count as absent."""

ROW = np.dtype(
    [
        ("pts", np.int64),
        ("has_pts", np.bool_),
        ("is_key", np.bool_),
        ("is_hidden", np.bool_),
        ("is_corrupt", np.bool_),
        ("is_encrypted", np.bool_),
        ("duration", np.int64),
    ]
)


class PacketTable:
    """What demuxing shows: one row of ROW for each packet of a stream that holds data.

    Args:
        rows: (P,) of ROW.
    """

    def __init__(self, rows: NDArray[np.void]) -> None:
        self.rows = rows

    def displayed(self) -> Ticks:
        """Time stamps of the packets that an edit list does not hide, increasing."""
        return self._times(~self.rows["is_hidden"])

    def keys(self) -> Ticks:
        """Time stamps of the key frames, increasing."""
        return self._times(self.rows["is_key"])

    def corrupt(self) -> Ticks:
        """Time stamps of the packets that the demuxer calls damaged, increasing."""
        return self._times(self.rows["is_corrupt"])

    def is_encrypted(self) -> bool:
        """Whether a key would be needed for some packet."""
        return bool(self.rows["is_encrypted"].any())

    def duration_at(self, tick: int) -> int:
        """Of the packet at `tick`; 0 where it is unknown."""
        return int(self.rows["duration"][self.rows["pts"] == tick].max(initial=0))

    def is_exact(self) -> bool:
        """Whether every packet has its own time, and none lies before the first key frame and thus undecodable."""
        displayed, keys = self.displayed(), self.keys()
        has_own_time = self.rows["has_pts"].all() and distinct(self.rows["pts"]).size == self.rows.size
        return bool(has_own_time and displayed.size and keys.size and keys[0] <= displayed[0])

    def _times(self, chosen: NDArray[np.bool_]) -> Ticks:
        return distinct(self.rows["pts"][chosen & self.rows["has_pts"]])


def distinct(ticks: Ticks) -> Ticks:
    """Each value once, increasing; `np.unique`, but ten times as fast on what is nearly in order."""
    ordered = np.sort(ticks, kind="stable")
    is_new = np.ones(ordered.size, np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets from where the container stands, and one without data that flushes the decoder."""
    for attempt in range(_ATTEMPTS):
        try:
            yield from container.demux(stream)
        except av.InvalidDataError as exc:
            _logger.debug("demuxing failed %d times: %s", attempt + 1, exc)
        else:
            return
    flush = cast("Packet[VideoStream]", Packet())
    flush.stream = stream
    yield flush


def read_table(container: InputContainer, stream: VideoStream) -> PacketTable:
    """Demux a whole stream."""
    rows = (
        (
            _stamp(packet.pts) or 0,
            _stamp(packet.pts) is not None,
            packet.is_keyframe,
            packet.is_discard,
            packet.is_corrupt,
            packet.has_sidedata("encryption_info"),
            _stamp(packet.duration) or 0,
        )
        for packet in read_packets(container, stream)
        if packet.size
    )
    return PacketTable(np.fromiter(rows, ROW))


def decoded_frames(
    packets: Iterable[Packet[VideoStream]],
    step_ticks: int,
    *,
    on_failure: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode packets into (tick, frame), in the order of display.

    A frame without a time stamp follows the one before it by `step_ticks`.

    Args:
        packets: ending with one without data.
        step_ticks: the usual distance of two frames.
        on_failure: told the time stamp of a packet that cannot be decoded; it is skipped.
    """
    tick = -step_ticks
    for packet in packets:
        for frame in _decode(packet, on_failure):
            stamp = _stamp(frame.pts if frame.pts is not None else frame.dts)
            tick = tick + step_ticks if stamp is None else stamp
            yield tick, frame


def _stamp(ticks: int | None) -> int | None:
    return None if ticks is None or abs(ticks) >= _FARTHEST_TICK else ticks


def _decode(packet: Packet[VideoStream], on_failure: Callable[[int], None] | None) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.InvalidDataError as exc:
        _logger.debug("a packet at pts %s was skipped: %s", packet.pts, exc)
    if packet.size:
        if on_failure is not None and (stamp := _stamp(packet.pts)) is not None:
            on_failure(stamp)
        return []
    return _flushed(packet)


def _flushed(packet: Packet[VideoStream]) -> list[VideoFrame]:
    """What a decoder still holds after it failed while it was being flushed."""
    for _ in range(_ATTEMPTS):
        try:
            return packet.decode()
        except av.InvalidDataError:
            continue
        except av.FFmpegError:  # flushed already
            break
    return []
