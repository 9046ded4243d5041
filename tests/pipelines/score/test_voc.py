"""Pascal VOC annotations: the boxes by hand, what is refused, and where images are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidcam.errors import InputError
from vidcam.geometry import Geometry
from vidcam.pipelines.score.boxes import read_box_tracks, region
from vidcam.pipelines.score.clips import LABEL_IN_TOP, read_clips
from vidcam.pipelines.score.rows import localization_row
from vidcam.pipelines.score.voc import listed_names, read_boxes, voc_folder

TWO_DOGS = """<?xml version="1.0"?>
<annotation><folder>VOC2012</folder><filename>../../elsewhere.jpg</filename>
  <object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>2</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>7</xmin><ymin>7</ymin><xmax>8</xmax><ymax>8</ymax></bndbox></part></object>
  <object><name>cat</name><bndbox><xmin>8.0</xmin><ymin>6</ymin><xmax>8</xmax><ymax>6</ymax></bndbox></object>
  <object><bndbox><ymax>3</ymax><xmax>6</xmax><ymin>2</ymin><xmin>3</xmin></bndbox><name> dog </name></object>
</annotation>"""


def write_voc(folder: Path, *, images: str = "JPEGImages", suffix: str = ".jpg", **annotations: str) -> Path:
    """A set of images of 8 × 6 with the given XML."""
    for name in (images, "Annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for stem, text in annotations.items():
        Image.new("RGB", (8, 6)).save(folder / images / f"{stem}{suffix}")
        (folder / "Annotations" / f"{stem}.xml").write_text(text)
    return folder


def test_boxes_by_hand(tmp_path: Path) -> None:
    """VOC counts from 1 and both ends are inside; parts of an object are not boxes of the object."""
    boxes = read_boxes(write_voc(tmp_path, a=TWO_DOGS) / "Annotations/a.xml")
    assert boxes == {"dog": [[0, 0, 4, 2], [2, 1, 4, 2]], "cat": [[7, 5, 1, 1]]}


def test_loc_of_two_overlapping_boxes_by_hand(tmp_path: Path) -> None:
    """The dogs cover 8 + 8 - 2 = 14 pixels. The map is 1 on 3 of them, 0.4 on 4 more, and 0.4 on 6 pixels outside."""
    dogs, cat = read_clips(write_voc(tmp_path, a=TWO_DOGS), out=tmp_path / "out").entries
    assert (dogs.label, cat.label) == ("dog", "cat")
    assert dogs.group == cat.group == dogs.name == "JPEGImages/a.jpg"
    whole, now = Geometry((6, 8), (6, 8), (6, 8), 0, 0), np.zeros(1)
    inside, cats = (region(read_box_tracks(each.boxes), now, now, whole) for each in (dogs, cat))
    assert (inside.sum(), cats.sum()) == (14, 1)
    heat = np.zeros((1, 6, 8), np.float32)
    heat[0, 0, 0:4], heat[0, 1, 0:3], heat[0, 5, 2:8] = 0.4, 1.0, 0.4
    row = localization_row(heat, inside, time_cells=1)
    assert row == pytest.approx(
        {"loc_0": 7 / 20, "loc_0.25": 7 / 20, "loc_0.5": 3 / 14, "pointing": 1.0, "energy": 4.6 / 7}
    )
    assert localization_row(heat, cats, time_cells=1) == pytest.approx(
        {"loc_0": 1 / 13, "loc_0.25": 1 / 13, "loc_0.5": 0.0, "pointing": 0.0, "energy": 0.4 / 7}
    )


REFUSED = [
    ("<!DOCTYPE annotation [<!ENTITY a 'b'>]><annotation/>", "declares a document type"),
    ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><annotation/>", "declares a document type"),
    ("<annotation>", "no element found"),
    ("<html/>", "its root is 'html'"),
    ("<annotation><object><name>dog</name></object></annotation>", "a box has no xmin"),
    (TWO_DOGS.replace("<name> dog </name>", ""), "an object has no name"),
    (TWO_DOGS.replace("<xmax>6</xmax>", "<xmax>1</xmax>"), r"a box goes from \(3, 2\) to \(1, 3\)"),
    (TWO_DOGS.replace("<xmax>6</xmax>", "<xmax>inf</xmax>"), "a box goes from"),
    (TWO_DOGS.replace("<xmax>6</xmax>", "<xmax>six</xmax>"), "could not convert"),
    ("", "no element found"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_damaged_annotation_is_a_row_with_its_reason(text: str, reason: str, tmp_path: Path) -> None:
    folder = write_voc(tmp_path, a=TWO_DOGS, b=text)
    *good, bad = read_clips(folder, out=tmp_path / "out").entries
    assert [entry.problem for entry in good] == ["", ""]
    assert bad.problem.startswith("b.xml: it is not a Pascal VOC annotation (")
    assert "\n" not in bad.problem
    with pytest.raises(InputError, match=rf"it is not a Pascal VOC annotation \(.*{reason}"):
        read_boxes(folder / "Annotations/b.xml")


def test_entities_are_refused_in_any_encoding(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, a="")
    path = folder / "Annotations/a.xml"
    path.write_bytes(REFUSED[0][0].encode("utf-16"))
    with pytest.raises(InputError, match="declares a document type"):
        read_boxes(path)


def test_a_large_annotation_is_refused(tmp_path: Path) -> None:
    path = write_voc(tmp_path, a="") / "Annotations/a.xml"
    path.write_bytes(b" " * (9 << 20))
    with pytest.raises(InputError, match="it has 9 MiB, the limit is 8 MiB"):
        read_boxes(path)


def test_a_list_chooses_images(tmp_path: Path) -> None:
    """The list of a class ends its lines with 1, 0 or -1."""
    folder = write_voc(tmp_path, a=TWO_DOGS, b=TWO_DOGS, c="<annotation/>")
    (folder / "ImageSets/Main").mkdir(parents=True)
    val = folder / "ImageSets/Main/val.txt"
    val.write_text("c\na\n")
    clips = read_clips(val, out=tmp_path / "out")
    assert [(entry.name, entry.label) for entry in clips.entries] == [
        ("JPEGImages/c.jpg", ""),
        ("JPEGImages/a.jpg", "dog"),
        ("JPEGImages/a.jpg", "cat"),
    ]
    assert clips.label_in_top == LABEL_IN_TOP
    val.write_text("a  1\nb -1\n\nc  0\n")
    assert listed_names(val) == ["a", "c"]
    assert voc_folder(val) == folder


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "https://a/b", "..\\a"])
def test_a_name_outside_the_set_is_not_opened(name: str, tmp_path: Path) -> None:
    folder = write_voc(tmp_path, a=TWO_DOGS)
    (folder / "val.txt").write_text(f"a\n{name}\n")
    entry = read_clips(folder / "val.txt", out=tmp_path / "out").entries[-1]
    assert "is outside the set" in entry.problem


def test_a_list_elsewhere_and_a_missing_image(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("a\n")
    with pytest.raises(InputError, match="is not in a Pascal VOC folder"):
        read_clips(tmp_path / "val.txt", out=tmp_path / "out")
    folder = write_voc(tmp_path / "set", a=TWO_DOGS, b=TWO_DOGS)
    (folder / "JPEGImages/a.jpg").unlink()
    (folder / "val.txt").write_text("a\nb\nc\n")
    entries = read_clips(folder / "val.txt", out=tmp_path / "out").entries
    assert "the image 'a' is missing; expected it in JPEGImages" in entries[0].problem
    assert "the image 'c' is missing" in entries[-1].problem


def test_images_of_imagenet_lie_in_data(tmp_path: Path) -> None:
    folder = write_voc(tmp_path, images="Data/CLS-LOC/val", suffix=".png", a="<annotation/>")
    (folder / "Annotations/CLS-LOC/val").mkdir(parents=True)
    (folder / "Annotations/a.xml").rename(folder / "Annotations/CLS-LOC/val/a.xml")
    (entry,) = read_clips(folder, out=tmp_path / "out").entries
    assert entry.name == "Data/CLS-LOC/val/a.png"
