from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidcam.errors import InputError
from vidcam.models import kinetics400
from vidcam.models.labels import read_labels


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
def test_forms_of_a_labels_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(text.encode())
    assert read_labels(tmp_path / "labels", 3) == NAMES


def test_numbers_that_are_no_count_belong_to_the_names(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("100 metres\n200 metres\n1 mile\n")
    assert read_labels(tmp_path / "labels", 3) == ("100 metres", "200 metres", "1 mile")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\nb", "has 2 labels, expected 3, one a line or as a JSON list; pass one name for each class"),
        ("a\nb\n\nd", "has 4 labels with empty ones among them, expected 3"),
        ("", "has 0 labels, expected 3"),
        ('["a", "b", 3]', "has a JSON document of another form"),
        ('["a", "b"', "has a JSON document of another form"),
        ("[" * 100_000, "has a JSON document of another form"),
        ('["a", " ", "b"]', "has 3 labels with empty ones among them"),
    ],
)
def test_labels_that_do_not_fit(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text(text)
    with pytest.raises(InputError, match=f"labels {said}"):
        read_labels(tmp_path / "labels", 3)


def test_a_labels_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long").write_bytes(b"a\n" * 600_000)
    with pytest.raises(InputError, match=r"binary' cannot be read \(.*, expected a text file in UTF-8"):
        read_labels(tmp_path / "binary", 3)
    with pytest.raises(InputError, match=r"none' cannot be read \(.*No such file"):
        read_labels(tmp_path / "none", 3)
    with pytest.raises(InputError, match=r"long' are over 1,048,576 bytes, expected 3 names"):
        read_labels(tmp_path / "long", 3)
