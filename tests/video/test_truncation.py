"""Files that were cut short give a note, and complete files give none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.mutations import sample, write_case
from vidcam.errors import MediaError
from vidcam.video import open_video
from vidcam.video.truncation import truncation_notes

FORMATS = {
    "h264.mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "fast-start.mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "mpeg4.mov": "mov,mp4,m4a,3gp,3g2,mj2",
    "h264.mkv": "matroska,webm",
    "vp9.webm": "matroska,webm",
    "mjpeg.avi": "avi",
    "wmv2.wmv": "asf",
    "animation.gif": "gif",
    "animation.apng": "apng",
    "flv1.flv": "flv",
    "mpeg1.mpg": "mpeg",
    "h264.ts": "mpegts",
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_complete_file_gives_no_note(tmp_path: Path, name: str) -> None:
    assert truncation_notes(str(write_case(name, sample(name).content, tmp_path)), FORMATS[name]) == ()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_cut_is_detected(tmp_path: Path, name: str, share: float) -> None:
    content = sample(name).content
    path = write_case(name, content[: (int(share * len(content)) - 9) | 1], tmp_path)
    assert any("the file is cut short: " in note for note in truncation_notes(str(path), FORMATS[name]))


@pytest.mark.parametrize("name", FORMATS)
def test_any_bytes_raise_no_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    for content in (b"", b"\0", b"\xff" * 40, sample(name).content[:11], b"\0" * 4096, b"\x1a" * 40):
        path.write_bytes(content)
        assert len(truncation_notes(str(path), FORMATS[name])) <= 1


def test_appended_bytes_are_not_a_cut(tmp_path: Path) -> None:
    path = write_case("h264.mp4", sample("h264.mp4").content + b"\0" * 100, tmp_path)
    assert truncation_notes(str(path), FORMATS["h264.mp4"]) == ()


def test_a_live_matroska_gives_no_note(tmp_path: Path) -> None:
    content = sample("h264.mkv").content
    offset = content.index(bytes.fromhex("18538067")) + 4
    path = tmp_path / "a.mkv"
    path.write_bytes(content[:offset] + b"\x01" + b"\xff" * 7 + content[offset + 8 : 3000])
    assert truncation_notes(str(path), "matroska,webm") == ()


@pytest.mark.parametrize("name", ["animation.gif", "flv1.flv", "h264.mkv", "mjpeg.avi"])
def test_a_reader_has_one_such_note(tmp_path: Path, name: str) -> None:
    content = sample(name).content
    with open_video(write_case(name, content[: int(0.8 * len(content))], tmp_path)) as reader:
        assert sum("the file is cut short" in note for note in reader.notes) == 1


def test_a_file_cut_to_its_header_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        open_video(write_case("animation.gif", sample("animation.gif").content[:20], tmp_path))
