"""File names as text: readable, encodable, on one line, and not too long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidcam.system.filenames import (
    MAX_STEM_BYTES,
    as_text,
    csv_text,
    markdown_text,
    one_line,
    relative_path,
    safe_stem,
    text_of_csv,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"video.mp4", "video.mp4"),
        (b"caf\xe9.mp4", r"caf\xe9.mp4"),
        ("café 映画".encode(), "café 映画"),
        (b"a\nb", "a\nb"),
        (b"a\\xe9", r"a\xe9"),
    ],
)
def test_as_text(name: bytes, expected: str) -> None:
    assert as_text(os.fsdecode(name)) == expected


def test_a_lone_surrogate_that_is_not_a_byte() -> None:
    assert as_text("a\ud800b") == r"a\ud800b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain – text", "plain – text"),
        ("a\nb\r\n\tc", r"a\nb\r\n\tc"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("映画\u3000\u200d👧", "映画\u3000\u200d👧"),
        ("a\u202egpm.exe\u2066", r"a\u202egpm.exe\u2066"),
    ],
)
def test_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(st.binary(max_size=300))
def test_any_bytes_give_one_line_and_a_valid_stem(name: bytes) -> None:
    text = name.decode(errors="surrogateescape")
    assert len(one_line(text).splitlines()) <= 1
    assert one_line(text).encode().decode() == one_line(text)
    stem = safe_stem(text)
    assert len(stem.encode()) <= MAX_STEM_BYTES
    assert safe_stem(stem) == one_line(stem) == stem


def test_a_stem_is_cut_between_characters() -> None:
    assert safe_stem("a" + "影" * 80) == "a" + "影" * 39


def test_paths_are_relative_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative_path(Path("video.mp4"), Path("out")) == "../video.mp4"
    assert relative_path(tmp_path / "out" / "video.mp4", Path("out")) == "video.mp4"
    assert relative_path(Path("a/b/video.mp4"), Path("a/c/d")) == "../../b/video.mp4"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/er")
    assert relative_path(Path("link/video.mp4"), Path("link/out")) == "../video.mp4"
    assert relative_path(Path("video.mp4"), Path("link/out")) == "../../../video.mp4"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("video_1.mp4: no (3 s)", "video_1.mp4: no (3 s)"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("a\n# b", r"a\\n# b"),
        ("[a](b) `c` *d* |", r"\[a\](b) \`c\` \*d\* |"),
    ],
)
def test_markdown_text(text: str, expected: str) -> None:
    assert markdown_text(text) == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "''=1"])
def test_text_that_a_spreadsheet_would_compute_gets_an_apostrophe(text: str) -> None:
    assert csv_text(text) == f"'{text}"
    assert text_of_csv(csv_text(text)) == text


@pytest.mark.parametrize("text", ["", "yoga", "a=1", "'", "'a"])
def test_other_text_stays(text: str) -> None:
    assert csv_text(text) == text_of_csv(text) == text
