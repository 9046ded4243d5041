"""Read and decode packets, also from damaged files.

Demuxing continues after damage, and ends where nothing more can be read. Packets that cannot be decoded are skipped and
reported to the caller. Damage in the middle of a file raises no error here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

Ticks = NDArray[np.int64]

_logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 16
"""After this many errors of the demuxer, the rest of the file is not read."""

_MAX_TICK = 1 << 61
"""Larger time stamps are damaged and count as missing. Their differences would not fit into 64 bits."""

ROW = np.dtype(
    [
        ("pts", np.int64),
        ("has_pts", np.bool_),
        ("is_key", np.bool_),
        ("is_discard", np.bool_),
        ("is_corrupt", np.bool_),
        ("is_encrypted", np.bool_),
        ("duration", np.int64),
    ]
)


class PacketTable:
    """The packets of a stream, without their data. Empty packets are left out.

    Args:
        rows: (P,) array of dtype ROW.
    """

    def __init__(self, rows: NDArray[np.void]) -> None:
        self.rows = rows

    def displayed(self) -> Ticks:
        """Return the time stamps of the packets that no edit list hides, increasing."""
        return self._times(~self.rows["is_discard"])

    def keys(self) -> Ticks:
        """Return the time stamps of the key frames, increasing."""
        return self._times(self.rows["is_key"])

    def corrupt(self) -> Ticks:
        """Return the time stamps of the packets that the demuxer marks as damaged, increasing."""
        return self._times(self.rows["is_corrupt"])

    def is_encrypted(self) -> bool:
        """Return whether any packet is encrypted."""
        return bool(self.rows["is_encrypted"].any())

    def duration_at(self, tick: int) -> int:
        """Return the duration of the packet at `tick`; 0 if it is unknown."""
        return int(self.rows["duration"][self.rows["pts"] == tick].max(initial=0))

    def is_exact(self) -> bool:
        """Return whether every packet has its own time stamp, and none is displayed before the first key frame."""
        displayed, keys = self.displayed(), self.keys()
        has_own_time = self.rows["has_pts"].all() and unique_sorted(self.rows["pts"]).size == self.rows.size
        return bool(has_own_time and displayed.size and keys.size and keys[0] <= displayed[0])

    def reordering(self) -> int:
        """Return by how many places a packet is displaced from the order of display, at most."""
        places = np.argsort(np.argsort(self.rows["pts"], kind="stable"), kind="stable")
        return int(np.abs(places - np.arange(places.size)).max(initial=0))

    def _times(self, is_selected: NDArray[np.bool_]) -> Ticks:
        return unique_sorted(self.rows["pts"][is_selected & self.rows["has_pts"]])


def unique_sorted(ticks: Ticks) -> Ticks:
    """Return each value once, increasing: `np.unique`, but ten times as fast on nearly sorted values."""
    ordered = np.sort(ticks, kind="stable")
    is_new = np.ones(ordered.size, np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the stream's packets from the current position on, then an empty one that flushes the decoder."""
    for attempt in range(_MAX_ATTEMPTS):
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
            _valid_tick(packet.pts) or 0,
            _valid_tick(packet.pts) is not None,
            packet.is_keyframe,
            packet.is_discard,
            packet.is_corrupt,
            packet.has_sidedata("encryption_info"),
            _valid_tick(packet.duration) or 0,
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
    decoder: VideoCodecContext | None = None,
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode packets and yield (tick, frame) in display order.

    A frame without a time stamp gets that of the frame before plus `step_ticks`.

    Args:
        packets: the last one has no data and flushes the decoder.
        step_ticks: the nominal distance between two frames.
        on_failure: called with the time stamp of each packet that cannot be decoded. The packet is skipped.
        decoder: decodes in place of the stream's own decoder.
    """
    tick = -step_ticks
    for packet in packets:
        for frame in _decode(packet, on_failure, decoder):
            stamp = _valid_tick(frame.pts if frame.pts is not None else frame.dts)
            tick = tick + step_ticks if stamp is None else stamp
            yield tick, frame


def _valid_tick(ticks: int | None) -> int | None:
    return None if ticks is None or abs(ticks) >= _MAX_TICK else ticks


def _decode(
    packet: Packet[VideoStream], on_failure: Callable[[int], None] | None, decoder: VideoCodecContext | None
) -> list[VideoFrame]:
    try:
        if decoder is not None:
            return decoder.decode(packet if packet.size else None)
        return packet.decode()
    except av.InvalidDataError as exc:
        _logger.debug("a packet at pts %s was skipped: %s", packet.pts, exc)
    if packet.size:
        if on_failure is not None and (tick := _valid_tick(packet.pts)) is not None:
            on_failure(tick)
        return []
    return _flush(packet) if decoder is None else []


def _flush(packet: Packet[VideoStream]) -> list[VideoFrame]:
    """Return the frames that a decoder still holds after an error during flushing."""
    for _ in range(_MAX_ATTEMPTS):
        try:
            return packet.decode()
        except av.InvalidDataError:
            continue
        except av.FFmpegError:  # it is already flushed
            break
    return []
