"""An MP4's own index tells what demuxing it tells, and is believed only where it must."""

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
    """Groups of 10 pictures."""
    more = f"{kind}:keyint=10:min-keyint=10:bframes=3:scenecut=0:log-level=none"
    return odd.coded(path, "libx265", "yuv420p", {"x265-params": more})


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


def told(path: Path) -> tuple[object, bool]:
    """All that a scan finds, or its error, and whether the index was believed."""
    try:
        found, container = read_frame_index(str(path))
    except VidcamError as exc:
        return str(exc), False
    if container is not None:
        container.close()
    parts = astuple(found)
    return [part.tolist() if isinstance(part, np.ndarray) else part for part in parts], container is not None


def demuxed(path: Path) -> object:
    """The same by demuxing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame_index, "indexed_rows", lambda *_: None)
        return told(path)[0]


@pytest.mark.parametrize("name", INDEXED)
def test_the_index_tells_what_demuxing_tells(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = INDEXED[name](tmp_path / name)
    expected, sizes = demuxed(path), []

    def counted(container: InputContainer, stream: VideoStream) -> PacketTable:
        sizes.append((table := read_table(container, stream)).rows.size)
        return table

    monkeypatch.setattr(mov_index, "read_table", counted)
    monkeypatch.setattr(frame_index, "read_table", lambda *_: pytest.fail("the whole video was demuxed"))
    assert told(path) == (expected, True)
    if name not in ("pq.mp4", "odd-size.mp4"):  # one group of pictures
        assert max(sizes) <= 10


@pytest.mark.parametrize("name", DEMUXED)
def test_what_is_not_as_it_should_be_is_demuxed(tmp_path: Path, name: str) -> None:
    path = MADE[name](tmp_path / name)
    assert told(path) == (demuxed(path), False)


def changed(tag: bytes, offset: int, value: bytes) -> Callable[[bytes], bytes]:
    """What puts bytes somewhere behind the name of a box."""

    def change(content: bytes) -> bytes:
        place = content.index(tag) + 4 + offset
        assert content[place : place + len(value)] != value
        return content[:place] + value + content[place + len(value) :]

    return change


def stretched(content: bytes) -> bytes:
    """The first run of composition offsets is one longer."""
    place = content.index(b"ctts") + 12
    count = int.from_bytes(content[place : place + 4], "big") + 1
    return content[:place] + count.to_bytes(4, "big") + content[place + 4 :]


def with_table(content: bytes) -> bytes:
    """One more box behind the sample tables, which lie at the end of what lies around them."""
    start = content.index(b"stbl") - 4
    end = start + int.from_bytes(content[start : start + 4], "big")
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        content = longer(content, name, 16)
    return content[:end] + (16).to_bytes(4, "big") + b"nova" + bytes(8) + content[end:]


def swapped(content: bytes) -> bytes:
    """An edit list that shows frames 30 to 49 first, then 0 to 29."""
    place = content.index(b"elst") + 4
    start = int.from_bytes(content[place + 12 : place + 16], "big")
    parts = ((800, start + 512 * 30), (1200, start))
    edits = b"".join(struct.pack(">IIHH", length, begin, 1, 0) for length, begin in parts)
    for name in (b"moov", b"trak", b"edts", b"elst"):
        content = longer(content, name, 12)
    return content[: place + 4] + (2).to_bytes(4, "big") + edits + content[place + 20 :]


def entry(content: bytes, tag: bytes, offset: int) -> bytes:
    """Four bytes behind the name of a box."""
    place = content.index(tag) + 4 + offset
    return content[place : place + 4]


def longer(content: bytes, name: bytes, by: int) -> bytes:
    """A box that says that it is longer."""
    place = content.index(name) - 4
    length = int.from_bytes(content[place : place + 4], "big") + by
    return content[:place] + length.to_bytes(4, "big") + content[place + 4 :]


LIES: dict[str, Callable[[bytes], bytes]] = {
    "displayed before it is decoded": changed(b"ctts", 12, (-512 & 0xFFFFFFFF).to_bytes(4, "big")),
    "offsets of more packets than there are": stretched,
    "an offset for no packet": changed(b"ctts", 8, bytes(4)),
    "the first packet is no key frame": changed(b"stss", 8, (2).to_bytes(4, "big")),
    "a key frame that is none": changed(b"stss", 12, (3).to_bytes(4, "big")),
    "a table that is not known": with_table,
    "a codec by another name": lambda content: content.replace(b"avc1" + bytes(7) + b"\1", b"dva1" + bytes(7) + b"\1"),
    "a second description": changed(b"stsd", 4, (2).to_bytes(4, "big")),
    "lengths of three bytes": changed(b"avcC", 4, b"\xfe"),
    "another box at the top": lambda content: content + (8).to_bytes(4, "big") + b"moof",
    "two movie boxes": lambda content: content + content[content.index(b"moov") - 4 :],
    "parts in another order": swapped,
    "no key frame first": lambda content: changed(b"stss", 8, entry(content, b"stss", 12))(content),
    "a table that is too short": changed(b"ctts", 4, bytes(4)),
    "a broken box at the end": lambda content: content + (1 << 20).to_bytes(4, "big") + b"free",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_video_that_lies_is_demuxed(tmp_path: Path, lie: str) -> None:
    path = odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES)
    assert told(path)[1]
    content = LIES[lie](path.read_bytes())
    assert content != path.read_bytes()
    path.write_bytes(content)
    assert told(path) == (demuxed(path), False)


@pytest.mark.parametrize("name", ["h264.mp4", "fast-start.mp4", "pq.mp4"])
def test_damaged_files_give_the_same_either_way(tmp_path: Path, name: str) -> None:
    found = []
    for seed in range(30):
        path = tmp_path / f"{seed}.mp4"
        path.write_bytes(mutated(name, seed)[1])
        everything, is_indexed = told(path)
        assert everything == demuxed(path), seed
        found.append(is_indexed)
    assert 0 < sum(found) < len(found)


@pytest.mark.parametrize(("field", "value"), [("pts", 7), ("is_key", True), ("is_corrupt", True), ("is_hidden", True)])
def test_demuxing_the_end_must_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: Any) -> None:
    path = odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES)
    expected, rows_of = demuxed(path), mov_index.indexed_rows

    def wrong(*arguments: Any) -> Any:
        rows = rows_of(*arguments)
        assert rows is not None
        rows[field][-2] = value
        return rows

    monkeypatch.setattr(frame_index, "indexed_rows", wrong)
    assert told(path) == (expected, False)


def test_decoding_goes_on_in_the_same_file(tmp_path: Path) -> None:
    path = str(odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES))
    found, container = read_frame_index(path)
    assert container is not None
    decoder, other = FrameDecoder(path, found, container), FrameDecoder(path, found)
    for index in (0, 1, 33, 49, 7):
        assert decoder.frame(index).pts == other.frame(index).pts == found.ticks[index]
        np.testing.assert_array_equal(decoder.frame(index).to_ndarray(), other.frame(index).to_ndarray())
    decoder.close()
    with pytest.raises((AssertionError, ValueError)):
        container.seek(0)
    other.close()


def test_the_index_of_a_stream(tmp_path: Path) -> None:
    path = odd.h264(tmp_path / "video.mp4", options=odd.B_FRAMES)
    with open_input(str(path)) as container:
        index = mov_index.read_index(video_stream(container, str(path)))
    assert list(zip(index.place.tolist(), index.size.tolist(), strict=True)) == odd.packet_places(path)
    last = int((index.place + index.size).max())
    assert [index.is_cut(last), index.is_cut(last - 1)] == [False, True]
    assert np.diff(index.dts).tolist() == [512] * (odd.COUNT - 1)
