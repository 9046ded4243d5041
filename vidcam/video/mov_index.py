"""The packets of an MP4 or MOV from its own index, without a byte of the pictures.

FFmpeg knows when each packet is decoded, where it lies and whether it is a key frame as soon as the file is open; when
it is displayed stands in the sample tables (ISO/IEC 14496-12, 8.6.1), which are read here. Demuxing tells the same, but
reads the whole file for it. So only a file is taken at its word in which nothing is left to find out: whole, in one
piece, unencrypted, nothing hidden by an edit list, the tables in agreement with FFmpeg's index, each key frame an
instantaneous refresh in its data too, and the packets from the last one on as demuxing gives them. All others are
demuxed.
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

_KEY, _HIDDEN = 1, 2
"""FFmpeg's flags of an index entry."""

_TOP_BOXES = frozenset({b"ftyp", b"free", b"mdat", b"moov", b"skip", b"udta", b"uuid", b"wide"})
_TABLES = frozenset({b"stsd", b"stts", b"ctts", b"stss", b"stsz", b"stsc", b"stco", b"co64", b"sdtp", b"cslg"})
_GROUPS = (b"sgpd", b"sbgp")
_ENTRIES = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1"})
"""Sample entries of what is not encrypted."""

_MOST_MOOV_BYTES = 1 << 26
_MOST_HEAD_UNITS = 64
"""NAL units looked at for the first slice of a key frame."""

_LARGEST_TICK = 1 << 60


@dataclass(frozen=True, slots=True, eq=False)
class SampleIndex:
    """FFmpeg's index of a stream: one row for each packet, in the order of decoding.

    Attributes:
        dts: (P,) int64, when each is decoded, in ticks.
        place: (P,) int64, where it begins in the file, in bytes.
        size: (P,) int64, in bytes.
        flags: (P,) int64, _KEY and _HIDDEN.
    """

    dts: NDArray[np.int64]
    place: NDArray[np.int64]
    size: NDArray[np.int64]
    flags: NDArray[np.int64]

    def is_cut(self, file_bytes: int) -> bool:
        """Whether some packet lies behind the end of a file of so many bytes."""
        return bool(np.any(self.place + self.size > file_bytes))


def read_index(stream: VideoStream) -> SampleIndex:
    """The index as it stands when a file is open."""
    entries = [(entry.timestamp, entry.pos, entry.size, entry.flags) for entry in stream.index_entries]
    return SampleIndex(*np.array(entries, np.int64).reshape(-1, 4).T)


def indexed_rows(path: str, stream: VideoStream, index: SampleIndex) -> NDArray[np.void] | None:
    """(P,) of ROW as `read_table` gives them but for the durations, which are 0; None where only demuxing tells.

    Args:
        path: the file, an MP4 or MOV.
        stream: of the pictures.
        index: of the stream.
    """
    codec, keys = stream.codec_context.codec.canonical_name, np.flatnonzero(index.flags & _KEY)
    if not keys.size or keys[0]:
        return None
    if np.any(index.flags & _HIDDEN) or np.any(np.abs(index.dts) > _LARGEST_TICK):
        return None
    with Path(path).open("rb") as file:
        if index.size.min() <= 0 or index.place.min() <= 0 or index.is_cut(os.fstat(file.fileno()).st_size):
            return None
        tables = _sample_tables(file, stream.id)
        offsets = None if tables is None else _display_offsets(tables, index)
        if offsets is None or not _are_refreshes(file, index.place[keys], index.size[keys], codec):
            return None
    rows = np.zeros(index.dts.size, ROW)
    rows["pts"], rows["has_pts"], rows["is_key"] = index.dts + offsets, True, index.flags & _KEY
    return rows


def confirmed_table(rows: NDArray[np.void], container: InputContainer, stream: VideoStream) -> PacketTable | None:
    """The rows, with durations from the last key frame on, if demuxing from there on gives the same.

    Args:
        rows: of `indexed_rows`.
        container: the file, open; it stands somewhere else afterwards.
        stream: of the pictures.
    """
    last_key = int(np.flatnonzero(rows["is_key"])[-1])
    container.seek(int(rows["pts"][last_key]), stream=stream)
    tail = read_table(container, stream).rows
    first = rows.size - tail.size
    same = [name for name in ROW.names or () if name != "duration"]
    if not 0 <= first <= last_key or not np.array_equal(tail[same], rows[first:][same]):
        return None
    rows["duration"][first:] = tail["duration"]
    return PacketTable(rows)


def _boxes(content: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of what each box in `content` holds; ends with a box b"" that is none where one is broken."""
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
    """Where the boxes lie that are reached by these names, one inside the other."""
    places = [within]
    for name in names:
        places = [(a, b) for place in places for found, a, b in _boxes(content, *place) if found == name]
    return places


def _sample_tables(file: BinaryIO, track: int) -> dict[bytes, bytes] | None:
    """The tables of the track with that number; None if the file is laid out in any other way than the usual one."""
    moov = _movie_box(file)
    if moov is None:
        return None
    wanted = [
        place
        for place in _find(moov, (0, len(moov)), b"trak")
        for a, _ in _find(moov, place, b"tkhd")
        if int.from_bytes(moov[a + 12 + 8 * (moov[a] == 1) :][:4], "big") == track
    ]
    found = [place for chosen in wanted for place in _find(moov, chosen, b"mdia", b"minf", b"stbl")]
    if len(found) != 1:
        return None
    boxes = list(_boxes(moov, *found[0]))
    tables = {name: moov[a:b] for name, a, b in boxes}
    names = [name for name, _, _ in boxes if name not in _GROUPS]
    described = tables.get(b"stsd", b"")
    is_plain = described[4:8] == b"\0\0\0\1" and described[12:16] in _ENTRIES
    return tables if is_plain and set(names) <= _TABLES and len(set(names)) == len(names) else None


def _movie_box(file: BinaryIO) -> bytes | None:
    """What the one `moov` of a file holds."""
    found: bytes | None = None
    place, size = 0, os.fstat(file.fileno()).st_size
    while place < size:
        file.seek(place)
        head = file.read(16).ljust(16, b"\0")
        length, name, long = struct.unpack(">I4sQ", head)
        skip = 16 if length == 1 else 8
        length = long if length == 1 else length or size - place
        if name not in _TOP_BOXES or not skip <= length <= size - place:
            return None
        if name == b"moov":
            if found is not None or length > _MOST_MOOV_BYTES:
                return None
            file.seek(place + skip)
            found = file.read(length - skip)
        place += length
    return found


def _display_offsets(tables: dict[bytes, bytes], index: SampleIndex) -> NDArray[np.int64] | None:
    """(P,) ticks from decoding to display; None where the tables are not of the index's packets, one by one.

    Where one is displayed before it is decoded, FFmpeg moves all of them: demuxing the end shows that.
    """
    count, sizes = index.dts.size, tables.get(b"stsz", b"")
    same = int.from_bytes(sizes[4:8], "big")
    if int.from_bytes(sizes[8:12], "big") != count or len(sizes) != 12 + 4 * count * (not same):
        return None
    stated = np.full(count, same) if same else np.frombuffer(sizes, ">u4", offset=12)
    if not np.array_equal(stated, index.size):  # an edit list brings them into another order
        return None
    if b"ctts" not in tables:
        return np.zeros(count, np.int64)
    table = tables[b"ctts"]
    if len(table) != 8 + 8 * int.from_bytes(table[4:8], "big"):
        return None
    times, offsets = np.frombuffer(table, ">i4", offset=8).reshape(-1, 2).T.astype(np.int64)
    if times.min(initial=0) < 0 or times.sum() != count:
        return None
    return np.repeat(offsets, times)


def _are_refreshes(file: BinaryIO, places: NDArray[np.int64], sizes: NDArray[np.int64], codec: str) -> bool:
    """Whether the first slice of each of these packets is one of an instantaneous refresh."""
    return all(
        _is_refresh(file, place, place + size, is_hevc=codec == "hevc")
        for place, size in zip(places.tolist(), sizes.tolist(), strict=True)
    )


def _is_refresh(file: BinaryIO, place: int, end: int, *, is_hevc: bool) -> bool:
    """Of NAL units, each with its length in four bytes before it; H.264's table 7-1, HEVC's table 7-1."""
    for _ in range(_MOST_HEAD_UNITS):
        file.seek(place)
        head = file.read(5)
        if len(head) < 5 or place + 5 > end:
            return False
        length, unit = struct.unpack(">IB", head)
        if not 1 <= length <= end - place - 4:
            return False
        kind = unit >> 1 & 63 if is_hevc else unit & 31
        if kind < 32 if is_hevc else 1 <= kind <= 5:
            return kind in (19, 20) if is_hevc else kind == 5
        place += 4 + length
    return False
