"""The shape set as files: what they say equals the truth of the images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidcam.errors import OutputError
from vidcam.motion.shapes import SHAPE_LABELS
from vidcam.pipelines.score.boxes import read_box_tracks
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.study.shape_set import COCO, MANIFEST, one_class, two_classes, write_shape_set


def test_three_formats_have_the_boxes_of_the_images(tmp_path: Path) -> None:
    requests = [*one_class(3), *two_classes(4, first_seed=10)]
    folder = write_shape_set(requests, tmp_path / "set")
    expected = {}
    for request in requests:
        image = request.image()
        path = f"JPEGImages/{request.stem}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(folder / path)), image.pixels)
        for label in dict.fromkeys(image.labels):
            boxes = [box for box, of in zip(image.boxes.tolist(), image.labels, strict=True) if of == label]
            expected[path, SHAPE_LABELS[label]] = boxes
    for name in (".", COCO, MANIFEST):
        entries = read_clips(folder / name, out=tmp_path / "out").entries
        found = {
            (entry.name, entry.label): [track.boxes[0].tolist() for track in read_box_tracks(entry.boxes)]
            for entry in entries
        }
        assert sorted(found.items()) == sorted(expected.items())
        assert {entry.group for entry in entries} == {name for name, _ in expected}


def test_all_classes_and_numbers_are_equally_frequent() -> None:
    requests = one_class(64)
    assert set(Counter(request.labels[0] for request in requests).values()) == {8}
    assert set(Counter(len(request.labels) for request in requests).values()) == {16}
    assert [request.seed for request in requests] == list(range(64))
    assert all(len(set(request.labels)) == 2 for request in two_classes(80))
    assert len({(request.labels[0], request.labels[-1]) for request in two_classes(80)}) == 56


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match="is not empty"):
        write_shape_set(one_class(1), tmp_path)
