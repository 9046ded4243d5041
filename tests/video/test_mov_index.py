"""The index of an MP4 gives the same frame index as demuxing, and is used only if it can be trusted."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.container import InputContainer
from av.video.stream import VideoStream

from tests.helpers import odd
from tests.helpers.mutations import mutated
from tests.helpers.videos import click
from vidcam.errors import VidcamError
from vidcam.video import frame_index, mov_index
from vidcam.video.container import open_input, video_stream
from vidcam.video.decoder import FrameDecoder
from vidcam.video.frame_index import read_frame_index
from vidcam.video.packets import PacketTable, read_table


def hevc(path: Path, *, kind: str) -> Path:
    """Write HEVC with 10 frames in each GOP."""
    params = f"{kind}:keyint=10:min-keyint=10:bframes=3:scenecut=0:log-level=none"
    return odd.coded(path, "libx265", "yuv420p", {"x265-params": params})


FAST_START = {"movflags": "+faststart"}
MADE: dict[str, Callable[[Path], Path]] = {
    **odd.ODD,
    "hevc.mp4": partial(hevc, kind="no-open-gop=1"),
    "open-hevc.mp4": partial(hevc, kind="open-gop=1"),
}
INDEXED: dict[str, Callable[[Path], Path]] = {
    "hevc.mp4": MADE["hevc.mp4"],
    **{name: odd.ODD[name] for name in ("variable-rate.mp4", "rotated-270.mov", "b-frames.mp4", "pq.mp4")},
    **{name: odd.ODD[name] for name in ("odd-size.mp4", "one-frame.mp4", "scratched.mp4")},
    "sound.mp4": lambda path: odd.h264(path, sound=click(0.5, 2), options=odd.B_FRAMES, container_options=FAST_START),
}
DEMUXED = (
    *("open-hevc.mp4", "no-count.mp4", "edit-list.mp4", "open-gop.mp4", "av1.mp4", "damaged.mp4", "cut.mp4"),
    "prores.mov",
)


def scan(path: Path) -> tuple[object, bool]:
    """Return the content of the frame index, or the error, and whether the MP4's index was used."""
    try:
        result, container = read_frame_index(str(path))
    except VidcamError as exc:
        return str(exc), False
    if container is not None:
        container.close()
    fields = astuple(result)
    return [field.tolist() if isinstance(field, np.ndarray) else field for field in fields], container is not None


def scan_by_demuxing(path: Path) -> object:
    """Return the content of the frame index, or the error, without the MP4's index."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_index, "rows_from_index", lambda *_: None)
        return scan(path)[0]


@pytest.mark.parametrize("name", INDEXED)
def test_the_index_gives_the_same_as_demuxing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = INDEXED[name](tmp_path / name)
    expected, sizes = scan_by_demuxing(path), []

    def counted(container: InputContainer, stream: VideoStream) -> PacketTable:
        sizes.append((table := read_table(container, stream)).rows.size)
        return table

    monkeypatch.setattr(mov_index, "read_table", counted)
    monkeypatch.setattr(frame_index, "read_table", lambda *_: pytest.fail("the whole video was demuxed"))
    assert scan(path) == (expected, True)
    if name not in ("pq.mp4", "odd-size.mp4"):  # these have a single GOP
        assert max(sizes) <= 10


@pytest.mark.parametrize("name", DEMUXED)
def test_an_unusual_file_is_demuxed(tmp_path: Path, name: str) -> None:
    path = MADE[name](tmp_path / name)
    assert scan(path) == (scan_by_demuxing(path), False)


def set_bytes(tag: bytes, offset: int, value: bytes) -> Callable[[bytes], bytes]:
    """Return a function that writes bytes at an offset after the name of a box."""

    def change(content: bytes) -> bytes:
        begin = content.index(tag) + 4 + offset
        assert content[begin : begin + len(value)] != value
        return content[:begin] + value + content[begin + len(value) :]

    return change


def lengthen_ctts_run(content: bytes) -> bytes:
    """Add one packet to the first run of composition offsets."""
    begin = content.index(b"ctts") + 12
    count = int.from_bytes(content[begin : begin + 4], "big") + 1
    return content[:begin] + count.to_bytes(4, "big") + content[begin + 4 :]


def add_table(content: bytes) -> bytes:
    """Add a box after the sample tables, which are the last box at every level."""
    start = content.index(b"stbl") - 4
    end = start + int.from_bytes(content[start : start + 4], "big")
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        content = lengthen_box(content, name, 16)
    return content[:end] + (16).to_bytes(4, "big") + b"nova" + bytes(8) + content[end:]


def reorder_edits(content: bytes) -> bytes:
    """Write an edit list that shows frames 30 to 49 first, then 0 to 29."""
    begin = content.index(b"elst") + 4
    start = int.from_bytes(content[begin + 12 : begin + 16], "big")
    parts = ((800, start + 512 * 30), (1200, start))
    edits = b"".join(struct.pack(">IIHH", length, media_time, 1, 0) for length, media_time in parts)
    for name in (b"moov", b"trak", b"edts", b"elst"):
        content = lengthen_box(content, name, 12)
    return content[: begin + 4] + (2).to_bytes(4, "big") + edits + content[begin + 20 :]


def four_bytes(content: bytes, tag: bytes, offset: int) -> bytes:
    """Return four bytes at an offset after the name of a box."""
    begin = content.index(tag) + 4 + offset
    return content[begin : begin + 4]


def lengthen_box(content: bytes, name: bytes, by: int) -> bytes:
    """Increase the length that a box states."""
    begin = content.index(name) - 4
    length = int.from_bytes(content[begin : begin + 4], "big") + by
    return content[:begin] + length.to_bytes(4, "big") + content[begin + 4 :]


CORRUPTIONS: dict[str, Callable[[bytes], bytes]] = {
    "displayed before it is decoded": set_bytes(b"ctts", 12, (-512 & 0xFFFFFFFF).to_bytes(4, "big")),
    "composition offsets for more packets than there are": lengthen_ctts_run,
    "a composition offset for no packet": set_bytes(b"ctts", 8, bytes(4)),
    "the first packet is not a key frame": set_bytes(b"stss", 8, (2).to_bytes(4, "big")),
    "a packet wrongly marked as key frame": set_bytes(b"stss", 12, (3).to_bytes(4, "big")),
    "an unknown table": add_table,
    "another codec name": lambda content: content.replace(b"avc1" + bytes(7) + b"\1", b"dva1" + bytes(7) + b"\1"),
    "a second sample description": set_bytes(b"stsd", 4, (2).to_bytes(4, "big")),
    "NAL lengths of three bytes": set_bytes(b"avcC", 4, b"\xfe"),
    "another top-level box": lambda content: content + (8).to_bytes(4, "big") + b"moof",
    "two moov boxes": lambda content: content + content[content.index(b"moov") - 4 :],
    "an edit list in another order": reorder_edits,
    "no first key frame": lambda content: set_bytes(b"stss", 8, four_bytes(content, b"stss", 12))(content),
    "a table that is too short": set_bytes(b"ctts", 4, bytes(4)),
    "a broken box at the end": lambda content: content + (1 << 20).to_bytes(4, "big") + b"free",
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_file_with_a_wrong_index_is_demuxed(tmp_path: Path, corruption: str) -> None:
    path = odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES)
    assert scan(path)[1]
    content = CORRUPTIONS[corruption](path.read_bytes())
    assert content != path.read_bytes()
    path.write_bytes(content)
    assert scan(path) == (scan_by_demuxing(path), False)


@pytest.mark.parametrize("name", ["h264.mp4", "fast-start.mp4", "pq.mp4"])
def test_damaged_files_give_the_same_with_and_without_the_index(tmp_path: Path, name: str) -> None:
    used_index = []
    for seed in range(30):
        path = tmp_path / f"{seed}.mp4"
        path.write_bytes(mutated(name, seed)[1])
        result, is_indexed = scan(path)
        assert result == scan_by_demuxing(path), seed
        used_index.append(is_indexed)
    assert 0 < sum(used_index) < len(used_index)


@pytest.mark.parametrize(("field", "value"), [("pts", 7), ("is_key", True), ("is_corrupt", True), ("is_discard", True)])
def test_a_difference_to_demuxing_the_end_is_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: Any
) -> None:
    path = odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES)
    expected, rows_of = scan_by_demuxing(path), mov_index.rows_from_index

    def wrong_rows(*arguments: Any) -> Any:
        rows = rows_of(*arguments)
        assert rows is not None
        rows[field][-2] = value
        return rows

    monkeypatch.setattr(frame_index, "rows_from_index", wrong_rows)
    assert scan(path) == (expected, False)


def test_decoding_continues_in_the_same_file(tmp_path: Path) -> None:
    path = str(odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES))
    result, container = read_frame_index(path)
    assert container is not None
    decoder, other = FrameDecoder(path, result, container), FrameDecoder(path, result)
    for index in (0, 1, 33, 49, 7):
        assert decoder.frame(index).pts == other.frame(index).pts == result.ticks[index]
        np.testing.assert_array_equal(decoder.frame(index).to_ndarray(), other.frame(index).to_ndarray())
    decoder.close()
    with pytest.raises((AssertionError, ValueError)):
        container.seek(0)
    other.close()


def test_the_index_of_a_stream(tmp_path: Path) -> None:
    path = odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES)
    with open_input(str(path)) as container:
        index = mov_index.read_index(video_stream(container, str(path)))
    assert list(zip(index.offset.tolist(), index.size.tolist(), strict=True)) == odd.packet_places(path)
    last = int((index.offset + index.size).max())
    assert [index.is_truncated(last), index.is_truncated(last - 1)] == [False, True]
    assert np.diff(index.dts).tolist() == [512] * (odd.COUNT - 1)
