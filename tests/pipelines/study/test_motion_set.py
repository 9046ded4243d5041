"""The files of the motion set, read like any clip set."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from vidcam.errors import OutputError, RunError
from vidcam.motion import make_clip
from vidcam.motion.box_tracks import box_tracks
from vidcam.pipelines.study.motion_set import Request, mixed, write_motion_set
from vidcam.video.reader import open_video

REQUESTS = (Request(1, 0), Request(1, 1), Request(2, 6, actors=3))


def rows_of(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_set_can_be_read_back(tmp_path: Path) -> None:
    told: list[tuple[float, float | None]] = []
    manifest = write_motion_set(
        REQUESTS, tmp_path / "a" / "set", progress=lambda _, done, total: told.append((done, total))
    )
    rows = rows_of(manifest)
    assert manifest == tmp_path / "a" / "set" / "manifest.csv"
    assert [row["path"] for row in rows] == [
        "clips/spin-clockwise_1_1.mp4",
        "clips/spin-counter-clockwise_1_1.mp4",
        "clips/wheel-down_2_3.mp4",
    ]
    assert [row["label"] for row in rows] == ["spin clockwise", "spin counter-clockwise", "wheel down"]
    assert rows[0]["group"] == rows[1]["group"] != rows[2]["group"]
    assert told == [(1, 3), (2, 3), (3, 3)]
    for request, row in zip(REQUESTS, rows, strict=True):
        clip = request.clip()
        with open_video(manifest.parent / row["path"]) as reader:
            stamps, frames = zip(*reader.frames(), strict=True)
        np.testing.assert_allclose(stamps, np.arange(16) / 8)
        off = np.abs(np.stack(frames).astype(int) - clip.frames)
        assert off.mean() < 8  # H.264 halves the colours' size
        assert json.loads((manifest.parent / row["boxes"]).read_text()) == box_tracks(clip)
        with np.load((manifest.parent / row["boxes"]).with_suffix(".npz")) as truth:
            np.testing.assert_array_equal(truth["masks"], clip.masks)
            assert truth["intervals"].tolist() == [list(interval) for interval in clip.intervals]
            assert truth["label"] == clip.label
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"set"}


def test_a_mixed_set_has_all_classes_equally_often() -> None:
    requests = mixed(160, first_seed=5)
    assert [request.seed for request in requests] == list(range(5, 165))
    for actors, share in ((1, 0.7), (2, 0.2), (3, 0.1)):
        labels = [request.label for request in requests if request.actors == actors]
        assert len(labels) == share * 160
        assert {labels.count(label) for label in range(8)} == {len(labels) // 8}
    assert {request.actors for request in mixed(20, actors=2)} == {2}


def test_larger_pixels(tmp_path: Path) -> None:
    manifest = write_motion_set(REQUESTS[:1], tmp_path, scale=3)  # a folder that is there, but empty
    (row,) = rows_of(manifest)
    with open_video(tmp_path / row["path"]) as reader:
        assert reader.info.size == (192, 192)
    tubes, own = json.loads((tmp_path / row["boxes"]).read_text()), box_tracks(make_clip(1, 0))
    np.testing.assert_array_equal(tubes[0]["boxes"], 3 * np.array(own[0]["boxes"]))


def test_a_full_folder_is_refused_and_a_failure_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(OutputError, match="full' is not empty; choose a new or empty folder"):
        write_motion_set(REQUESTS, tmp_path / "full")
    with pytest.raises(OutputError, match=r"full/file cannot be written"):
        write_motion_set(REQUESTS, tmp_path / "full" / "file" / "set")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez_compressed", fail)
    with pytest.raises(RunError, match="No space left"):
        write_motion_set(REQUESTS, tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
