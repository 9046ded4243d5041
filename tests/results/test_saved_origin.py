"""The origin in a saved explanation: which video, and by which path."""

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


def test_origin_and_labels_survive(tmp_path: Path) -> None:
    origin = Origin(str(tmp_path.parent / "a.mp4"), "ab" * 32, (0.0, 7.5), None, (1.0, 2.0, 3.0))
    dataclasses.replace(video(), origin=origin, class_labels={3: "座る", 0: "a"}).save(tmp_path / "a.npz")
    read = load_video(tmp_path / "a.npz")
    assert (read.origin, read.class_labels) == (origin, {0: "a", 3: "座る"})


def saved_path(path: Path) -> str:
    with np.load(path) as arrays:
        return str(json.loads(str(arrays["meta"]))["video"]["origin"]["path"])


def test_the_path_is_relative_to_the_saved_file(tmp_path: Path) -> None:
    made = replace(video(), origin=Origin(str(tmp_path / "videos" / "a.mp4"), "ab" * 32, (0.0, 7.5)))
    for name in ("here", "deep/er"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        made.save(folder / "a.npz")
        assert saved_path(folder / "a.npz") == f"{'../' * (name.count('/') + 1)}videos/a.mp4"
        made = load_video(folder / "a.npz")
        assert made.origin == Origin(str(tmp_path / "videos" / "a.mp4"), "ab" * 32, (0.0, 7.5))


def test_a_relative_path_is_kept(tmp_path: Path) -> None:
    replace(video(), origin=Origin("a.mp4", "ab" * 32, (0.0, 7.5))).save(tmp_path / "a.npz")
    assert saved_path(tmp_path / "a.npz") == "a.mp4"
    (tmp_path / "moved").mkdir()
    (tmp_path / "a.npz").rename(tmp_path / "moved" / "a.npz")
    origin = load_video(tmp_path / "moved" / "a.npz").origin
    assert origin is not None
    assert origin.path == str(tmp_path / "moved" / "a.mp4")


@pytest.mark.parametrize("path", ["memory://videos/a.mp4", "a.mp4", "/a.mp4"])
def test_a_source_that_is_no_file_keeps_its_name(path: str, tmp_path: Path) -> None:
    origin = Origin(path, "ab" * 32, (0.0, 7.5), is_local=False)
    replace(video(), origin=origin).save(tmp_path / "a.npz")
    assert load_video(tmp_path / "a.npz").origin == origin
    assert saved_path(tmp_path / "a.npz") == path
