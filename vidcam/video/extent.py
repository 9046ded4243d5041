"""Whether a file is all there: what its container says of its length in bytes, or how it should end.

A cut that falls between two frames, or takes only sound away, shows in no other way. Bare streams, live Matroska and
fragmented MP4, cut between fragments, say nothing; MPEG-TS and MPEG-PS say nothing where they are cut between packets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

_SLACK_BYTES = 8
"""Padding that some writers count and do not write."""

_SEGMENT = 0x18538067
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_TS_PACKET_BYTES = (188, 192, 204)
_PS_TAIL_BYTES = 1 << 17
_FLV_TAG_HEAD, _FLV_TAGS = 11, (8, 9, 18)


def extent_notes(path: str, layout: str) -> tuple[str, ...]:
    """A sentence if the end of a file is missing.

    Args:
        path: the file.
        layout: FFmpeg's name for its container.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        if layout in _IS_WHOLE:
            is_whole = _IS_WHOLE[layout](file, size)
            return () if is_whole else ("the file is cut short: it does not end as such files do",)
        announced = _ANNOUNCED[layout](file, size) if layout in _ANNOUNCED else 0
    if announced - size <= _SLACK_BYTES:
        return ()
    return (f"the file is cut short: it announces {announced} bytes, of which {size} are there",)


def _read(file: BinaryIO, place: int, length: int) -> bytes:
    """The bytes at a place, zeros where the file has ended."""
    file.seek(place)
    return file.read(length).ljust(length, b"\0")


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an MP4 ends; 0 where that is not said or something else was appended."""
    place = 0
    while place + 8 <= size:
        head = _read(file, place, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8 or not head[4:8].isalnum():
            return 0
        place += length
    return place


def _riff_end(file: BinaryIO, _: int) -> int:
    """Where the first chunk of an AVI ends."""
    return int.from_bytes(_read(file, 4, 4), "little") + 8


def _segment_end(file: BinaryIO, _: int) -> int:
    """Where the segment of a Matroska file ends; 0 where that is unknown, as in a live stream."""
    _, header_end = _element(file, 0)
    kind, end = _element(file, header_end)
    return end if kind == _SEGMENT else 0


def _element(file: BinaryIO, place: int) -> tuple[int, int]:
    """The ID of the EBML element at a place, and where it ends; 0 where that is unknown."""
    head = _read(file, place, 16)
    id_length = _number_length(head[0])
    length = _number_length(head[id_length]) if id_length <= 4 else 9
    if length > 8:
        return 0, 0
    unknown = (1 << 7 * length) - 1
    value = int.from_bytes(head[id_length : id_length + length], "big") & unknown
    end = place + id_length + length + value if value != unknown else 0
    return int.from_bytes(head[:id_length], "big"), end


def _number_length(first: int) -> int:
    """Bytes of an EBML number by its first one; 9: it is none."""
    return 9 - first.bit_length()


def _asf_end(file: BinaryIO, _: int) -> int:
    """The length that an ASF file's properties state; 0 for a broadcast."""
    head = _read(file, 0, 4096)
    place = head.find(_FILE_PROPERTIES)
    return int.from_bytes(head[place + 40 : place + 48], "little") if place >= 0 else 0


def _is_whole_gif(file: BinaryIO, size: int) -> bool:
    """Whether the blocks of a GIF lead to its trailer."""
    place = 13 + _colours_bytes(_read(file, 10, 1)[0])
    while place < size:
        head = _read(file, place, 10)
        if head[0] == 0x3B:
            return True
        if head[0] == 0x21:
            place += 2
        elif head[0] == 0x2C:
            place += 11 + _colours_bytes(head[9])
        else:
            return False
        while place < size and (length := _read(file, place, 1)[0]):
            place += 1 + length
        place += 1
    return False


def _colours_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _is_whole_png(file: BinaryIO, size: int) -> bool:
    """Whether the chunks of a PNG lead to its last one."""
    place = 8
    while place < size:
        head = _read(file, place, 8)
        place += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return place <= size
    return False


def _is_whole_flv(file: BinaryIO, size: int) -> bool:
    """Whether an FLV ends with the length of a whole tag."""
    length = int.from_bytes(_read(file, max(0, size - 4), 4), "big")
    if not _FLV_TAG_HEAD <= length <= size - 4:
        return False
    tag = _read(file, size - 4 - length, 4)
    return tag[0] in _FLV_TAGS and int.from_bytes(tag[1:], "big") + _FLV_TAG_HEAD == length


def _is_whole_ps(file: BinaryIO, size: int) -> bool:
    """Whether the packets from the last pack of an MPEG program stream on lead to its end, zeros left aside."""
    tail = _read(file, max(0, size - _PS_TAIL_BYTES), min(size, _PS_TAIL_BYTES)) + bytes(16)
    place, end = max(0, tail.rfind(b"\0\0\1\xba")), len(tail) - 16
    while place < end and tail.startswith(b"\0\0\1", place):
        kind = tail[place + 3]
        if kind == 0xB9:  # the end of the program
            return True
        if kind == 0xBA:  # a pack's head: MPEG-1, or MPEG-2 with stuffing
            place += 12 if tail[place + 4] >> 4 == 2 else 14 + (tail[place + 13] & 7)
        else:
            place += 6 + int.from_bytes(tail[place + 4 : place + 6], "big")
    return place <= end and not any(tail[place:end])


def _is_whole_ts(_: BinaryIO, size: int) -> bool:
    """Whether a transport stream is whole packets."""
    return any(size % length == 0 for length in _TS_PACKET_BYTES)


_ANNOUNCED: Mapping[str, Callable[[BinaryIO, int], int]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes_end,
    "avi": _riff_end,
    "matroska,webm": _segment_end,
    "asf": _asf_end,
}
_IS_WHOLE: Mapping[str, Callable[[BinaryIO, int], bool]] = {
    "gif": _is_whole_gif,
    "apng": _is_whole_png,
    "flv": _is_whole_flv,
    "mpeg": _is_whole_ps,
    "mpegts": _is_whole_ts,
}
