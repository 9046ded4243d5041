"""A full disk: all of a result is there, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.failures import content, explain
from tests.helpers.processes import run

STAGES = {
    "overlay": ("overlay", "_gradcam.mp4"),
    "map": ("map", "_map.mp4"),
    "sheet": ("sheet", ".png"),
    "data": ("data", ".npz"),
    "document": ("overlay", ".json"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_is_full(stage: str, video: Path, speck: Path, tmp_path: Path) -> None:
    """Half of a file has room, or all but its last byte, which is written when the file is closed."""
    outputs, ending = STAGES[stage]
    arguments = explain(speck if stage == "document" else video, tmp_path / "out", outputs=outputs)
    assert run(arguments, tmp_path).code == 0
    before = content(tmp_path / "out")
    most = max(len(data) for name, data in before.items() if name.endswith(ending))
    assert most == max(map(len, before.values()))  # it is this file that fails, and no other
    for room in (most // 2, most - 1):
        done = run(arguments, tmp_path, most_bytes=room)
        assert done.code == 1
        (line,) = done.err.splitlines()
        assert line.startswith("vidcam: error: ")
        assert "(File too large)" in line
        assert done.out == ""
        assert content(tmp_path / "out") == before


def test_a_disk_that_is_full_from_the_start(video: Path, tmp_path: Path) -> None:
    assert run(explain(video, tmp_path / "deep" / "out"), tmp_path, most_bytes=500).code == 1
    assert not (tmp_path / "deep").exists()


def test_a_disk_that_is_full_for_one_video_of_two(video: Path, speck: Path, tmp_path: Path) -> None:
    arguments = explain(video, tmp_path / "out", str(speck), outputs="overlay")
    done = run(arguments, tmp_path, most_bytes=5000)
    assert done.code == 1
    assert f"{video}: error: " in done.err
    assert len(done.out.splitlines()) == len(content(tmp_path / "out")) == 3
