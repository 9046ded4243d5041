from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from vidcam.pipelines.content import BLOCK_BYTES, BLOCKS, content_mark


def test_copies_have_one_mark_whatever_their_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one.mp4", tmp_path / "other.mp4"
    one.write_bytes(b"film" * 1000)
    shutil.copy(one, other)
    os.utime(other, (1, 1))
    assert content_mark(str(one)) == content_mark(str(other)) != ""


@pytest.mark.parametrize("place", [0, 5 * BLOCK_BYTES + 3, -1])
@pytest.mark.parametrize("blocks", [6, BLOCKS, 40])
def test_another_byte_or_length_is_another_mark(place: int, blocks: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    content = bytearray(os.urandom(BLOCK_BYTES)) * blocks
    path.write_bytes(content)
    before = content_mark(str(path))
    place = 0 if blocks > BLOCKS and place > 0 else place  # between the blocks nothing is seen
    content[place] ^= 1
    path.write_bytes(content)
    assert content_mark(str(path)) != before
    content[place] ^= 1
    path.write_bytes(content + b"x")
    assert content_mark(str(path)) != before


def test_a_folder_of_images_is_its_names_lengths_and_some_content(tmp_path: Path) -> None:
    marks = set()
    for number in range(40):
        (tmp_path / f"{number:02}.png").write_bytes(b"image")
    for change in (lambda: None, (tmp_path / "00.png").unlink, lambda: (tmp_path / "39.png").write_bytes(b"imagf")):
        change()
        marks.add(content_mark(str(tmp_path)))
    assert len(marks) == 3


def test_what_is_no_file_has_no_mark(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in ("memory://a.mp4", str(tmp_path / "nowhere.mp4"), str(tmp_path / "pipe"), "nul\0byte"):
        assert content_mark(source) == ""
