"""Box tracks: reading them, and their mask in the model's input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vidcam.errors import InputError
from vidcam.geometry import Geometry
from vidcam.pipelines.score.boxes import read_box_tracks, region

PLAIN = Geometry((8, 10), (8, 10), (8, 10), 0, 0)
HALVED = Geometry((16, 20), (8, 10), (4, 4), 2, 3)


def test_the_region_of_a_box_by_hand() -> None:
    """Two frames at 0 and 1 s have boxes; the third is asked for and has none."""
    tubes = read_box_tracks('[{"start": 0, "end": 2, "boxes": [[1, 2, 3, 1], [0, 0, 2, 2]]}]')
    inside = region(tubes, np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0, 2.0]), PLAIN)
    assert np.argwhere(inside[0]).tolist() == [[2, 1], [2, 2], [2, 3]]
    assert inside[1].sum() == 4
    np.testing.assert_array_equal(inside[1], inside[2])
    assert not inside[3].any()


def test_boxes_follow_the_resize_and_the_crop() -> None:
    tubes = read_box_tracks('[{"start": 0, "end": 1, "boxes": [[6, 4, 4, 8]]}]')
    inside = region(tubes, np.array([0.0]), np.array([0.0]), HALVED)
    assert np.argwhere(inside[0]).tolist() == [[row, column] for row in range(4) for column in range(2)]


def test_a_pixel_is_inside_if_its_centre_is() -> None:
    tubes = read_box_tracks('[{"start": 0, "end": 1, "boxes": [[1.4, 1.6, 2, 1]]}]')
    assert np.argwhere(region(tubes, np.array([0.0]), np.array([0.0]), PLAIN)[0]).tolist() == [[2, 1], [2, 2]]


def test_boxes_out_of_view_are_ignored() -> None:
    tubes = read_box_tracks('[{"start": 0, "end": 1, "boxes": [[-50, -50, 20, 20]]}]')
    assert not region(tubes, np.array([0.0]), np.array([0.0]), HALVED).any()


def test_several_tubes_are_joined_and_a_file_is_read(tmp_path: Path) -> None:
    tubes = [{"start": 0, "end": 1, "boxes": [[0, 0, 1, 1]]}, {"start": 0, "end": 1, "boxes": [[9, 7, 1, 1]]}]
    (tmp_path / "boxes.json").write_text(json.dumps({"tubes": tubes}))
    inside = region(read_box_tracks(str(tmp_path / "boxes.json")), np.array([0.0]), np.array([0.0]), PLAIN)
    assert np.argwhere(inside[0]).tolist() == [[0, 0], [7, 9]]


@pytest.mark.parametrize(
    "boxes",
    [
        "[1]",
        "[{]",
        '[{"start": 0, "end": 2, "boxes": [[0, 0, 1, 1]]}]',
        '[{"start": -1, "end": 0, "boxes": [[0,0,1,1]]}]',
        "{}",
        '[{"start": 1e999, "end": 1, "boxes": [[0, 0, 1, 1]]}]',
        '[{"start": 0, "end": 1, "boxes": [[NaN, 0, 1, 1]]}]',
        '[{"start": 0, "end": 1, "boxes": [[null, 0, 1, 1]]}]',
        '[{"start": 0, "end": 1, "boxes": [[2, 0, -1, 1]]}]',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_boxes_that_are_not_tubes_are_refused(boxes: str) -> None:
    with pytest.raises(InputError, match=r"boxes cannot be read .* each tube needs 'start'"):
        read_box_tracks(boxes)


def test_a_missing_box_file_is_named_without_its_folder() -> None:
    with pytest.raises(InputError, match=r"boxes 'no.json' cannot be read \(No such file"):
        read_box_tracks("/nowhere/no.json")
    with pytest.raises(InputError, match=r"boxes 'no\\x00.json' cannot be read \(embedded null byte\)"):
        read_box_tracks("/nowhere/no\0.json")
