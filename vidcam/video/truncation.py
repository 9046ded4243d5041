"""Detect files that were cut short, from the length that the container states or from how the file should end.

This finds cuts between two frames, and cuts that remove only audio; decoding does not show them. Some formats give no
such information: raw streams, live Matroska, and fragmented MP4 that was cut between fragments. MPEG-TS and MPEG-PS
give none if they were cut between packets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

_SLACK_BYTES = 8
"""Padding that some writers count but do not write."""

_SEGMENT = 0x18538067
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_TS_PACKET_BYTES = (188, 192, 204)
_PS_TAIL_BYTES = 1 << 17
_FLV_TAG_HEAD, _FLV_TAGS = 11, (8, 9, 18)


def truncation_notes(path: str, format_name: str) -> tuple[str, ...]:
    """Return a note if the end of a file is missing."""
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        if format_name in _IS_COMPLETE:
            is_complete = _IS_COMPLETE[format_name](file, size)
            return () if is_complete else ("the file is cut short: its end is missing",)
        stated_size = _STATED_SIZE[format_name](file, size) if format_name in _STATED_SIZE else 0
    if stated_size - size <= _SLACK_BYTES:
        return ()
    return (f"the file is cut short: only {size} of {stated_size} bytes are there",)


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    """Read bytes at an offset, padded with zeros past the end of the file."""
    file.seek(offset)
    return file.read(length).ljust(length, b"\0")


def _mp4_size(file: BinaryIO, size: int) -> int:
    """Return where the last top-level box of an MP4 ends; 0 if unknown, or if something else was appended."""
    offset = 0
    while offset + 8 <= size:
        header = _read(file, offset, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if length < 8 or not header[4:8].isalnum():
            return 0
        offset += length
    return offset


def _avi_size(file: BinaryIO, _: int) -> int:
    """Return where the RIFF chunk of an AVI ends."""
    return int.from_bytes(_read(file, 4, 4), "little") + 8


def _matroska_size(file: BinaryIO, _: int) -> int:
    """Return where the segment of a Matroska file ends; 0 if unknown, as in a live stream."""
    _, header_end = _ebml_element(file, 0)
    element_id, end = _ebml_element(file, header_end)
    return end if element_id == _SEGMENT else 0


def _ebml_element(file: BinaryIO, offset: int) -> tuple[int, int]:
    """Return the ID of the EBML element at an offset and where the element ends; 0 if the end is unknown."""
    header = _read(file, offset, 16)
    id_length = _vint_length(header[0])
    length = _vint_length(header[id_length]) if id_length <= 4 else 9
    if length > 8:
        return 0, 0
    unknown = (1 << 7 * length) - 1
    value = int.from_bytes(header[id_length : id_length + length], "big") & unknown
    end = offset + id_length + length + value if value != unknown else 0
    return int.from_bytes(header[:id_length], "big"), end


def _vint_length(first: int) -> int:
    """Return the number of bytes of an EBML variable-length integer from its first byte; 9 if it is invalid."""
    return 9 - first.bit_length()


def _asf_size(file: BinaryIO, _: int) -> int:
    """Return the size that the properties of an ASF file state; 0 for a broadcast."""
    head = _read(file, 0, 4096)
    offset = head.find(_FILE_PROPERTIES)
    return int.from_bytes(head[offset + 40 : offset + 48], "little") if offset >= 0 else 0


def _is_complete_gif(file: BinaryIO, size: int) -> bool:
    """Return whether the blocks of a GIF lead to its trailer."""
    offset = 13 + _colour_table_bytes(_read(file, 10, 1)[0])
    while offset < size:
        header = _read(file, offset, 10)
        if header[0] == 0x3B:
            return True
        if header[0] == 0x21:
            offset += 2
        elif header[0] == 0x2C:
            offset += 11 + _colour_table_bytes(header[9])
        else:
            return False
        while offset < size and (length := _read(file, offset, 1)[0]):
            offset += 1 + length
        offset += 1
    return False


def _colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _is_complete_png(file: BinaryIO, size: int) -> bool:
    """Return whether the chunks of a PNG lead to its IEND chunk."""
    offset = 8
    while offset < size:
        header = _read(file, offset, 8)
        offset += 12 + int.from_bytes(header[:4], "big")
        if header[4:] == b"IEND":
            return offset <= size
    return False


def _is_complete_flv(file: BinaryIO, size: int) -> bool:
    """Return whether an FLV ends with a complete tag and its length."""
    length = int.from_bytes(_read(file, max(0, size - 4), 4), "big")
    if not _FLV_TAG_HEAD <= length <= size - 4:
        return False
    tag = _read(file, size - 4 - length, 4)
    return tag[0] in _FLV_TAGS and int.from_bytes(tag[1:], "big") + _FLV_TAG_HEAD == length


def _is_complete_ps(file: BinaryIO, size: int) -> bool:
    """Return whether the packets after the last pack header of an MPEG program stream lead to its end.

    Zeros at the end are ignored.
    """
    tail = _read(file, max(0, size - _PS_TAIL_BYTES), min(size, _PS_TAIL_BYTES)) + bytes(16)
    offset, end = max(0, tail.rfind(b"\0\0\1\xba")), len(tail) - 16
    while offset < end and tail.startswith(b"\0\0\1", offset):
        start_code = tail[offset + 3]
        if start_code == 0xB9:  # end of the program
            return True
        if start_code == 0xBA:  # pack header: MPEG-1, or MPEG-2 with stuffing
            offset += 12 if tail[offset + 4] >> 4 == 2 else 14 + (tail[offset + 13] & 7)
        else:
            offset += 6 + int.from_bytes(tail[offset + 4 : offset + 6], "big")
    return offset <= end and not any(tail[offset:end])


def _is_complete_ts(_: BinaryIO, size: int) -> bool:
    """Return whether a transport stream consists of complete packets."""
    return any(size % length == 0 for length in _TS_PACKET_BYTES)


_STATED_SIZE: Mapping[str, Callable[[BinaryIO, int], int]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _mp4_size,
    "avi": _avi_size,
    "matroska,webm": _matroska_size,
    "asf": _asf_size,
}
_IS_COMPLETE: Mapping[str, Callable[[BinaryIO, int], bool]] = {
    "gif": _is_complete_gif,
    "apng": _is_complete_png,
    "flv": _is_complete_flv,
    "mpeg": _is_complete_ps,
    "mpegts": _is_complete_ts,
}
