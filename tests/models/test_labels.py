from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidcam.errors import InputError
from vidcam.models.labels import kinetics400, read_labels


def test_kinetics400_is_complete_and_alphabetical() -> None:
    labels = kinetics400()
    assert len(set(labels)) == 400
    assert list(labels) == sorted(labels)
    assert [labels[i] for i in (0, 6, 399)] == ["abseiling", "arm wrestling", "zumba"]


NAMES = ("Apply Eye Makeup", "Archery, mounted", "3x3 basketball")


@pytest.mark.parametrize(
    "text",
    [
        "Apply Eye Makeup\nArchery, mounted\n3x3 basketball",
        "Apply Eye Makeup\r\n Archery, mounted\r\n3x3 basketball\r\n\r\n",
        "\ufeffApply Eye Makeup\nArchery, mounted\n3x3 basketball\n",
        "1 Apply Eye Makeup\n2 Archery, mounted\n3 3x3 basketball\n",
        "0\tApply Eye Makeup\n1\tArchery, mounted\n2\t3x3 basketball\n",
        "2 Archery, mounted\n1 Apply Eye Makeup\n3 3x3 basketball\n",
        "1,Apply Eye Makeup\n2,Archery, mounted\n3,3x3 basketball",
        json.dumps(NAMES),
        json.dumps(NAMES, indent=1),
    ],
)
def test_formats_of_a_labels_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(text.encode())
    assert read_labels(tmp_path / "labels", 3) == NAMES


def test_numbers_that_do_not_count_the_lines_are_part_of_the_labels(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("100 metres\n200 metres\n1 mile\n")
    assert read_labels(tmp_path / "labels", 3) == ("100 metres", "200 metres", "1 mile")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb", "have 2 labels, expected 3: one per class"),
        ("a\nb\n\nd", "have 4 labels, some of them empty, expected 3"),
        ("", "have 0 labels, expected 3"),
        ('["a", "b", 3]', "are not a JSON list of strings, expected 3 labels"),
        ('["a", "b"', "are not a JSON list of strings"),
        ("[" * 100_000, "are not a JSON list of strings"),
        ('["a", " ", "b"]', "have 3 labels, some of them empty"),
    ],
)
def test_a_wrong_number_of_labels(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text(text)
    with pytest.raises(InputError, match=f"^labels '.*labels' {message}"):
        read_labels(tmp_path / "labels", 3)


def test_an_unreadable_labels_file(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long").write_bytes(b"a\n" * 600_000)
    with pytest.raises(InputError, match=r"binary' are not a UTF-8 text file"):
        read_labels(tmp_path / "binary", 3)
    with pytest.raises(InputError, match=r"none' cannot be read \(.*No such file"):
        read_labels(tmp_path / "none", 3)
    with pytest.raises(InputError, match=r"long' are larger than 1,048,576 bytes, expected 3 labels"):
        read_labels(tmp_path / "long", 3)
