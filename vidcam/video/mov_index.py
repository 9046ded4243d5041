"""Read the packet list of an MP4 or MOV from its index, without reading the video data.

As soon as the file is open, FFmpeg knows the decoding time, the position and the key flag of each packet. The display
times are in the sample tables (ISO/IEC 14496-12, 8.6.1), which are read here. Demuxing gives the same list, but reads
the whole file.

The index is used only if all of this holds; otherwise the file is demuxed:

* The file is complete, not fragmented and not encrypted, and no edit list hides packets.
* The sample tables agree with FFmpeg's index.
* The data of each key frame begins with an IDR picture (instantaneous decoding refresh).
* Demuxing from the last key frame on gives the same packets.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidcam.video.packets import ROW, PacketTable, read_table

_KEY, _DISCARD = 1, 2
"""FFmpeg's flags of an index entry: AVINDEX_KEYFRAME and AVINDEX_DISCARD_FRAME."""

_TOP_BOXES = frozenset({b"ftyp", b"free", b"mdat", b"moov", b"skip", b"udta", b"uuid", b"wide"})
_TABLES = frozenset({b"stsd", b"stts", b"ctts", b"stss", b"stsz", b"stsc", b"stco", b"co64", b"sdtp", b"cslg"})
_SAMPLE_GROUPS = (b"sgpd", b"sbgp")
_SAMPLE_ENTRIES = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1"})
"""Types of sample entries that are not encrypted."""

_MAX_MOOV_BYTES = 1 << 26
_MAX_NAL_UNITS = 64
"""NAL units that are searched for the first slice of a key frame."""

_MAX_TICK = 1 << 60


@dataclass(frozen=True, slots=True, eq=False)
class SampleIndex:
    """FFmpeg's index of a stream: one entry for each packet, in decoding order.

    Attributes:
        dts: (P,) int64, decoding times in ticks.
        offset: (P,) int64, where each packet begins in the file, in bytes.
        size: (P,) int64, in bytes.
        flags: (P,) int64, combinations of _KEY and _DISCARD.
    """

    dts: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    flags: NDArray[np.int64]

    def is_truncated(self, file_bytes: int) -> bool:
        """Return whether a packet extends past the end of a file of `file_bytes` bytes."""
        return bool(np.any(self.offset + self.size > file_bytes))


def read_index(stream: VideoStream) -> SampleIndex:
    """Read the index of an open stream."""
    entries = [(entry.timestamp, entry.pos, entry.size, entry.flags) for entry in stream.index_entries]
    return SampleIndex(*np.array(entries, np.int64).reshape(-1, 4).T)


def rows_from_index(path: str, stream: VideoStream, index: SampleIndex) -> NDArray[np.void] | None:
    """Make the rows that `read_table` would give, (P,) of dtype ROW, but with durations 0.

    None if the file must be demuxed.
    """
    codec, keys = stream.codec_context.codec.canonical_name, np.flatnonzero(index.flags & _KEY)
    if not keys.size or keys[0]:
        return None
    if np.any(index.flags & _DISCARD) or np.any(np.abs(index.dts) > _MAX_TICK):
        return None
    with Path(path).open("rb") as file:
        if index.size.min() <= 0 or index.offset.min() <= 0 or index.is_truncated(os.fstat(file.fileno()).st_size):
            return None
        tables = _sample_tables(file, stream.id)
        pts_offsets = None if tables is None else _composition_offsets(tables, index)
        if pts_offsets is None or not _are_idr(file, index.offset[keys], index.size[keys], codec):
            return None
    rows = np.zeros(index.dts.size, ROW)
    rows["pts"], rows["has_pts"], rows["is_key"] = index.dts + pts_offsets, True, index.flags & _KEY
    return rows


def verified_table(rows: NDArray[np.void], container: InputContainer, stream: VideoStream) -> PacketTable | None:
    """Demux from the last key frame on, and compare with the rows from the index.

    Returns:
        The rows, with durations from the last key frame on; None if demuxing gives other packets.
    """
    last_key = int(np.flatnonzero(rows["is_key"])[-1])
    container.seek(int(rows["pts"][last_key]), stream=stream)
    tail = read_table(container, stream).rows
    first = rows.size - tail.size
    compared = [name for name in ROW.names or () if name != "duration"]
    if not 0 <= first <= last_key or not np.array_equal(tail[compared], rows[first:][compared]):
        return None
    rows["duration"][first:] = tail["duration"]
    return PacketTable(rows)


def _boxes(content: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each box in `content`, and where its payload begins and ends.

    If a box is broken, yield the name b"" and stop.
    """
    while begin < end:
        if end - begin < 8:
            yield b"", begin, end
            return
        length, name = struct.unpack_from(">I4s", content, begin)
        if not 8 <= length <= end - begin:
            yield b"", begin, end
            return
        yield name, begin + 8, begin + length
        begin += length


def _find(content: bytes, within: tuple[int, int], *names: bytes) -> list[tuple[int, int]]:
    """Find the payloads of the boxes at a path of nested names."""
    spans = [within]
    for name in names:
        spans = [(begin, end) for span in spans for box, begin, end in _boxes(content, *span) if box == name]
    return spans


def _sample_tables(file: BinaryIO, track: int) -> dict[bytes, bytes] | None:
    """Return the sample tables of a track; None if the file has an unusual layout."""
    moov = _read_moov(file)
    if moov is None:
        return None
    tracks = [
        span
        for span in _find(moov, (0, len(moov)), b"trak")
        for begin, _ in _find(moov, span, b"tkhd")
        if int.from_bytes(moov[begin + 12 + 8 * (moov[begin] == 1) :][:4], "big") == track
    ]
    table_spans = [span for trak in tracks for span in _find(moov, trak, b"mdia", b"minf", b"stbl")]
    if len(table_spans) != 1:
        return None
    boxes = list(_boxes(moov, *table_spans[0]))
    tables = {name: moov[begin:end] for name, begin, end in boxes}
    names = [name for name, _, _ in boxes if name not in _SAMPLE_GROUPS]
    description = tables.get(b"stsd", b"")
    is_plain = description[4:8] == b"\0\0\0\1" and description[12:16] in _SAMPLE_ENTRIES
    return tables if is_plain and set(names) <= _TABLES and len(set(names)) == len(names) else None


def _read_moov(file: BinaryIO) -> bytes | None:
    """Return the payload of the only `moov` box; None if there is no such box, or the file has an unusual layout."""
    moov: bytes | None = None
    offset, size = 0, os.fstat(file.fileno()).st_size
    while offset < size:
        file.seek(offset)
        header = file.read(16).ljust(16, b"\0")
        length, name, long_length = struct.unpack(">I4sQ", header)
        header_size = 16 if length == 1 else 8
        length = long_length if length == 1 else length or size - offset
        if name not in _TOP_BOXES or not header_size <= length <= size - offset:
            return None
        if name == b"moov":
            if moov is not None or length > _MAX_MOOV_BYTES:
                return None
            file.seek(offset + header_size)
            moov = file.read(length - header_size)
        offset += length
    return moov


def _composition_offsets(tables: dict[bytes, bytes], index: SampleIndex) -> NDArray[np.int64] | None:
    """Return display time minus decoding time of each packet, (P,) ticks; None if tables and index do not match.

    If a packet is displayed before it is decoded, FFmpeg shifts all time stamps. `verified_table` detects that.
    """
    count, sizes = index.dts.size, tables.get(b"stsz", b"")
    constant_size = int.from_bytes(sizes[4:8], "big")
    if int.from_bytes(sizes[8:12], "big") != count or len(sizes) != 12 + 4 * count * (not constant_size):
        return None
    table_sizes = np.full(count, constant_size) if constant_size else np.frombuffer(sizes, ">u4", offset=12)
    if not np.array_equal(table_sizes, index.size):  # an edit list changes the order
        return None
    if b"ctts" not in tables:
        return np.zeros(count, np.int64)
    table = tables[b"ctts"]
    if len(table) != 8 + 8 * int.from_bytes(table[4:8], "big"):
        return None
    run_lengths, offsets = np.frombuffer(table, ">i4", offset=8).reshape(-1, 2).T.astype(np.int64)
    if run_lengths.min(initial=0) < 0 or run_lengths.sum() != count:
        return None
    return np.repeat(offsets, run_lengths)


def _are_idr(file: BinaryIO, offsets: NDArray[np.int64], sizes: NDArray[np.int64], codec: str) -> bool:
    """Return whether the first slice of each of these packets is an IDR slice."""
    return all(
        _is_idr(file, offset, offset + size, is_hevc=codec == "hevc")
        for offset, size in zip(offsets.tolist(), sizes.tolist(), strict=True)
    )


def _is_idr(file: BinaryIO, offset: int, end: int, *, is_hevc: bool) -> bool:
    """Return whether the first slice between `offset` and `end` is an IDR slice.

    The data are NAL units, each after its length in four bytes. Their types are in table 7-1 of H.264 and of HEVC.
    """
    for _ in range(_MAX_NAL_UNITS):
        file.seek(offset)
        header = file.read(5)
        if len(header) < 5 or offset + 5 > end:
            return False
        length, first_byte = struct.unpack(">IB", header)
        if not 1 <= length <= end - offset - 4:
            return False
        unit_type = first_byte >> 1 & 63 if is_hevc else first_byte & 31
        if unit_type < 32 if is_hevc else 1 <= unit_type <= 5:
            return unit_type in (19, 20) if is_hevc else unit_type == 5
        offset += 4 + length
    return False
