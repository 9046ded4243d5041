"""Processes of their own, and the sets that they score."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from scripts.bench.processes import once, peak_megabytes
from scripts.bench.videos import make_set, make_video, save_maps


@pytest.mark.slow
def test_a_process_renders_and_says_its_peak(tmp_path: Path) -> None:
    saved = save_maps(make_video(tmp_path / "video.mp4", 10, (64, 64)), 10, (64, 64))
    found = once("render", str(saved), str(tmp_path / "out"))
    assert (tmp_path / "out.mp4").stat().st_size > 1000
    assert found["megabytes"] > 20
    assert peak_megabytes() > 20
    with pytest.raises(subprocess.CalledProcessError):
        once("render", str(tmp_path / "nowhere.npz"), str(tmp_path / "other"))


def test_a_set_has_its_clips_and_some_that_are_not_there(tmp_path: Path) -> None:
    rows = list(csv.DictReader(make_set(tmp_path, 20, size=(32, 32), broken=5).read_text("utf-8").splitlines()))
    missing = [row["path"] for row in rows if not (tmp_path / row["path"]).exists()]
    assert len(rows) == 20
    assert missing == ["nowhere.mp4"] * 4
    assert len({(row["path"], row["start"]) for row in rows if row["path"] != "nowhere.mp4"}) == 16
