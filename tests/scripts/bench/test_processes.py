"""The processes whose peak memory is measured, and the sets that they score."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest

from scripts.bench.processes import peak_megabytes, peak_of
from scripts.bench.videos import make_set, make_video, save_maps


@pytest.mark.slow
def test_a_process_renders_and_prints_its_peak(tmp_path: Path) -> None:
    saved = save_maps(make_video(tmp_path / "video.mp4", 10, (64, 64)))
    assert peak_of("render", str(saved), str(tmp_path / "out")) > 20
    assert (tmp_path / "out.mp4").stat().st_size > 1000
    assert peak_megabytes() > 20
    with pytest.raises(subprocess.CalledProcessError):
        peak_of("render", str(tmp_path / "nowhere.npz"), str(tmp_path / "other"))


def test_a_set_has_different_clips_of_existing_videos(tmp_path: Path) -> None:
    rows = list(csv.DictReader(make_set(tmp_path, 20, size=(32, 32)).read_text("utf-8").splitlines()))
    assert len({(row["path"], row["start"]) for row in rows}) == len(rows) == 20
    assert all((tmp_path / row["path"]).is_file() for row in rows)
