"""Which video a saved explanation names, and by which path, wherever it is saved."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.loading import load_video
from tests.results.test_video import video
from vidcam.results.video import Origin


def test_the_video_it_was_made_of_and_the_labels_survive(tmp_path: Path) -> None:
    origin = Origin(str(tmp_path.parent / "a.mp4"), "ab" * 32, (0.0, 7.5), None, (1.0, 2.0, 3.0))
    dataclasses.replace(video(), origin=origin, class_labels={3: "座る", 0: "a"}).save(tmp_path / "a.npz")
    read = load_video(tmp_path / "a.npz")
    assert (read.origin, read.class_labels) == (origin, {0: "a", 3: "座る"})


def stated(path: Path) -> str:
    with np.load(path) as arrays:
        return str(json.loads(str(arrays["meta"]))["video"]["origin"]["path"])


def test_the_path_is_stated_relative_to_wherever_it_is_saved(tmp_path: Path) -> None:
    made = replace(video(), origin=Origin(str(tmp_path / "videos" / "a.mp4"), "ab" * 32, (0.0, 7.5)))
    for name in ("here", "deep/er"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        made.save(folder / "a.npz")
        assert stated(folder / "a.npz") == f"{'../' * (name.count('/') + 1)}videos/a.mp4"
        made = load_video(folder / "a.npz")
        assert made.origin == Origin(str(tmp_path / "videos" / "a.mp4"), "ab" * 32, (0.0, 7.5))


def test_a_relative_path_is_stated_as_it_is(tmp_path: Path) -> None:
    replace(video(), origin=Origin("a.mp4", "ab" * 32, (0.0, 7.5))).save(tmp_path / "a.npz")
    assert stated(tmp_path / "a.npz") == "a.mp4"
    (tmp_path / "moved").mkdir()
    (tmp_path / "a.npz").rename(tmp_path / "moved" / "a.npz")
    origin = load_video(tmp_path / "moved" / "a.npz").origin
    assert origin is not None
    assert origin.path == str(tmp_path / "moved" / "a.mp4")


@pytest.mark.parametrize("path", ["memory://videos/a.mp4", "a.mp4", "/a.mp4"])
def test_what_is_no_file_keeps_its_name(path: str, tmp_path: Path) -> None:
    origin = Origin(path, "ab" * 32, (0.0, 7.5), is_local=False)
    replace(video(), origin=origin).save(tmp_path / "a.npz")
    assert load_video(tmp_path / "a.npz").origin == origin
    assert stated(tmp_path / "a.npz") == path
