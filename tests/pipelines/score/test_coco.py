"""Annotations of COCO: the rows by hand, what is refused, and where images are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vidcam.errors import InputError
from vidcam.pipelines.score.boxes import read_box_tracks
from vidcam.pipelines.score.clips import LABEL_IN_TOP, read_clips

DATASET: dict[str, Any] = {
    "info": {"year": 2017},
    "images": [{"id": 7, "file_name": "a.png", "height": 6, "width": 8}, {"id": 9, "file_name": "b.png"}],
    "categories": [{"id": 1, "name": "dog", "supercategory": "animal"}, {"id": 3, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 2], "segmentation": [[0, 0, 4, 0, 4, 2]]},
        {"id": 2, "image_id": 7, "category_id": 3, "bbox": [7.5, 5, 0.5, 1]},
        {"id": 3, "image_id": 7, "category_id": 1, "bbox": [2, 1, 4, 2], "iscrowd": 1},
    ],
}


def write_coco(path: Path, dataset: Any, *, images: str = ".") -> Path:
    """Annotations, and the images of the set above."""
    (path.parent / images).mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 6)).save(path.parent / images / name)
    path.write_text(dataset if isinstance(dataset, str) else json.dumps(dataset))
    return path


@pytest.mark.parametrize("images", [".", "images", "../val2017", "../images/val2017"])
def test_rows_by_hand(images: str, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    path = write_coco(tmp_path / "annotations/instances_val2017.json", DATASET, images=images)
    clips = read_clips(path, out=tmp_path / "out")
    dogs, cat, none = clips.entries
    assert [(entry.name, entry.label, entry.problem) for entry in clips.entries] == [
        ("a.png", "dog", ""),
        ("a.png", "cat", ""),
        ("b.png", "", ""),
    ]
    assert [track.boxes.tolist() for track in read_box_tracks(dogs.boxes)] == [[[0, 0, 4, 2]], [[2, 1, 4, 2]]]
    assert [track.boxes.tolist() for track in read_box_tracks(cat.boxes)] == [[[7.5, 5, 0.5, 1]]]
    assert (dogs.group, cat.group, none.group, none.boxes) == ("a.png", "a.png", "b.png", "")
    assert all(Path(entry.source).is_file() for entry in clips.entries)
    assert clips.label_in_top == LABEL_IN_TOP


def changed(**parts: Any) -> dict[str, Any]:
    return DATASET | parts


REFUSED = [
    ("[]", "Expected `object`"),
    ("{", "Input data was truncated"),
    ("[" * 5000, "nested too deeply|maximum recursion|Expected `object`"),
    (changed(images=None), "images"),
    ({"images": []}, "categories"),
    (changed(annotations=[{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1]}]), "bbox"),
    (changed(annotations=[{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, "a"]}]), "bbox"),
    (changed(images=[{"id": {}, "file_name": "a.png"}]), "id"),
]


@pytest.mark.parametrize(("dataset", "reason"), REFUSED)
def test_a_damaged_file_is_refused_in_one_sentence(dataset: Any, reason: str, tmp_path: Path) -> None:
    path = write_coco(tmp_path / "instances.json", dataset)
    with pytest.raises(InputError, match=rf"has no annotations of COCO \((.*({reason}))") as error:
        read_clips(path, out=tmp_path / "out")
    assert "\n" not in str(error.value)


def test_a_bad_annotation_is_a_row_with_its_reason(tmp_path: Path) -> None:
    bad = [
        {"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1]},
        {"image_id": 9, "category_id": 2, "bbox": [0, 0, 1, 1]},
    ]
    images = [{"id": 7, "file_name": "../a.png"}, {"id": 9, "file_name": "b.png"}]
    dataset = changed(annotations=bad, images=images)
    entries = read_clips(write_coco(tmp_path / "instances.json", dataset), out=tmp_path / "out").entries
    assert [entry.problem for entry in entries] == [
        "annotation 0: its image 8 is not in the file",
        "annotation 1: its category 2 has no name in the file",
        "image 7: the image '../a.png' is outside the set; expected a name in its folder",
        "",
    ]


def test_a_box_without_a_size_is_a_failed_row(tmp_path: Path) -> None:
    dataset = changed(annotations=[{"image_id": 7, "category_id": 1, "bbox": [0, 0, -1, 1]}])
    entry = read_clips(write_coco(tmp_path / "instances.json", dataset), out=tmp_path / "out").entries[0]
    with pytest.raises(InputError, match="negative width"):
        read_box_tracks(entry.boxes)
