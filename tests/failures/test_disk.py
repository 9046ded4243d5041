"""A full disk leaves a complete result or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.failures import content, explain
from tests.helpers.processes import run

HIDDEN = "tests.helpers.nets:hidden_model"
OUTPUTS = {
    "overlay": ("overlay", "_gradcam.mp4"),
    "map": ("map", "_map.mp4"),
    "sheet": ("sheet", ".png"),
    "data": ("data", ".npz"),
    "document": ("overlay", ".json"),
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_full_disk(output: str, video: Path, speck: Path, tmp_path: Path) -> None:
    """There is space for half of a file, or for all but the last byte, which is written when the file is closed."""
    outputs, ending = OUTPUTS[output]
    more = ["--method", "gradcam", *(["--model", HIDDEN] if output == "data" else [])]  # whose map is large
    arguments = explain(speck if output == "document" else video, tmp_path / "out", *more, outputs=outputs)
    assert run(arguments, tmp_path).code == 0
    before = content(tmp_path / "out")
    largest = max(len(data) for name, data in before.items() if name.endswith(ending))
    assert largest == max(map(len, before.values()))  # so this file fails and no other
    for limit in (largest // 2, largest - 1):
        done = run(arguments, tmp_path, most_bytes=limit)
        assert done.code == 1
        (line,) = done.err.splitlines()
        assert line.startswith("vidcam: error: ")
        assert "(File too large)" in line
        assert done.out == ""
        assert content(tmp_path / "out") == before


def test_a_disk_without_any_space(video: Path, tmp_path: Path) -> None:
    assert run(explain(video, tmp_path / "deep" / "out"), tmp_path, most_bytes=500).code == 1
    assert not (tmp_path / "deep").exists()


def test_a_disk_with_space_for_one_of_two_videos(video: Path, speck: Path, tmp_path: Path) -> None:
    arguments = explain(video, tmp_path / "out", str(speck), outputs="overlay")
    done = run(arguments, tmp_path, most_bytes=5000)
    assert done.code == 1
    assert f"{video}: error: " in done.err
    assert len(done.out.splitlines()) == len(content(tmp_path / "out")) == 5  # with the summary
