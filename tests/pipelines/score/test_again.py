"""Scoring again in the same folder: failed clips, changed files, other versions."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from vidcam.errors import OutputError
from vidcam.pipelines.score import store
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.settings import Provenance
from vidcam.system.progress import Progress, silent

QUICK = ScoreOptions(methods=("gradcam", "gradcam++"))
AGAIN = replace(QUICK, retry_failed=True)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CLIPS_PER_PART", 2)


def run(
    manifest: Path, out: Path, options: ScoreOptions = QUICK, *, progress: Progress = silent, **given: Any
) -> ScoredClips:
    return score_set(manifest, out, options, model=hidden_model(), progress=progress, **given)


def statuses(out: Path) -> dict[str, str]:
    with (out / "scores.csv").open(newline="") as file:
        return {row["clip"]: row["status"] for row in csv.DictReader(file)}


@pytest.fixture
def mended(tmp_path: Path) -> tuple[Path, Path]:
    """A set of 7 clips and its scores; clips 1, 4 and 5 failed, and are readable now."""
    manifest, out = write_set(tmp_path / "set", 7), tmp_path / "out"
    manifest.write_text(manifest.read_text().replace("video0.mkv,0.04", "later.mkv,0.04"))  # clip 4
    video, away = manifest.parent / "video1.mkv", tmp_path / "away.mkv"
    video.rename(away)
    run(manifest, out)
    away.rename(video)
    shutil.copy(manifest.parent / "video0.mkv", manifest.parent / "later.mkv")
    return manifest, out


def test_failed_clips_are_scored_again_on_request(mended: tuple[Path, Path], tmp_path: Path) -> None:
    manifest, out = mended
    assert [clip for clip, status in statuses(out).items() if status == "failed"] == ["1", "4", "5"]
    names = sorted(path.name for path in (out / "scores").iterdir())
    assert run(manifest, out).failed == 3
    result = run(manifest, out, AGAIN)
    assert (result.failed, result.forwards[1]) == (0, 3)
    assert sorted(path.name for path in (out / "scores").iterdir()) == names
    run(manifest, tmp_path / "fresh")
    assert (out / "scores.csv").read_bytes() == (tmp_path / "fresh" / "scores.csv").read_bytes()
    assert run(manifest, out, AGAIN).forwards == (0, 0)


def test_the_sanity_checks_use_the_clips_that_are_readable_now(mended: tuple[Path, Path]) -> None:
    manifest, out = mended
    video, away = manifest.parent / "video1.mkv", manifest.parent / "away"
    video.rename(away)
    before = run(manifest, out, replace(QUICK, sanity=2)).summary.sanity
    assert before is not None
    assert before.clips == ("video0.mkv", "video2.mkv")
    away.rename(video)
    assert run(manifest, out, replace(QUICK, sanity=2)).summary.sanity == before
    after = run(manifest, out, replace(AGAIN, sanity=2)).summary.sanity
    assert after is not None
    assert after.clips == ("video0.mkv", "video1.mkv")
    assert run(manifest, out, replace(QUICK, sanity=2)).summary.sanity == after


def test_a_changed_option_is_refused_also_on_request(mended: tuple[Path, Path]) -> None:
    """Else the clips of one table would have been scored in two ways."""
    manifest, out = mended
    before = {path.name: path.read_bytes() for path in (out / "scores").iterdir()}
    with pytest.raises(OutputError, match=r"has scores with other settings \(fill was black, is blur\)"):
        run(manifest, out, replace(AGAIN, fill="blur"))
    assert {path.name: path.read_bytes() for path in (out / "scores").iterdir()} == before


def test_an_interrupt_loses_no_row(mended: tuple[Path, Path], tmp_path: Path) -> None:
    def interrupt(stage: str, _done: float, _total: float | None) -> None:
        if stage == "scoring failed clips again":
            raise KeyboardInterrupt

    manifest, out = mended
    with pytest.raises(KeyboardInterrupt):
        run(manifest, out, AGAIN, progress=interrupt)
    assert run(manifest, out).failed == 2  # the first part was written again
    assert run(manifest, out, AGAIN).forwards[1] == 2
    run(manifest, tmp_path / "fresh")
    assert (out / "scores.csv").read_bytes() == (tmp_path / "fresh" / "scores.csv").read_bytes()


def test_a_part_that_cannot_be_written_again_stays(mended: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    manifest, out = mended
    before = {path.name: path.read_bytes() for path in (out / "scores").glob("part-*")}
    monkeypatch.setattr("vidcam.pipelines.score.store.pq.write_table", full)
    with pytest.raises(Exception, match="No space left on device"):
        run(manifest, out, AGAIN)
    assert {path.name: path.read_bytes() for path in (out / "scores").glob("part-*")} == before


def test_a_clip_that_fails_again_stays_one_row(tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "set", 3, broken={1})
    run(manifest, tmp_path / "out")
    assert run(manifest, tmp_path / "out", AGAIN).failed == 1
    assert list(statuses(tmp_path / "out").values()) == ["scored", "failed", "scored"]


def test_failed_clips_are_scored_before_the_remaining_ones(mended: tuple[Path, Path], tmp_path: Path) -> None:
    manifest, out = mended
    sorted((out / "scores").glob("part-*"))[-1].unlink()  # as if killed there
    result = run(manifest, out, AGAIN)
    assert (result.failed, result.forwards[1]) == (0, 4)
    run(manifest, tmp_path / "fresh")
    assert (out / "scores.csv").read_bytes() == (tmp_path / "fresh" / "scores.csv").read_bytes()


def test_a_changed_video_is_refused(tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "set", 5)
    run(manifest, tmp_path / "out")
    videos = [manifest.parent / f"video{number}.mkv" for number in range(4)]
    os.utime(videos[1], (1, 1))
    videos[3].rename(tmp_path / "elsewhere.mkv")
    assert run(manifest, tmp_path / "out").failed == 0  # other times, and a video that is gone, change no row
    shutil.copy(videos[0], videos[2])
    with pytest.raises(OutputError, match=r"^video2\.mkv has changed since it was scored; restore it"):
        run(manifest, tmp_path / "out")
    assert run(manifest, tmp_path / "out", replace(QUICK, overwrite=True)).failed == 1


def test_other_versions_are_recorded_and_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_stage: str, done: float, _total: float | None) -> None:
        if done == 4:
            raise KeyboardInterrupt

    manifest, out = write_set(tmp_path / "set", 6), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(manifest, out, progress=interrupt)
    assert "provenance" in json.loads((out / "scores" / "settings.json").read_text())
    newer = Provenance(vidcam="9", torch="9.9", numpy="9.8", av="9.7", device="an abacus")
    monkeypatch.setattr("vidcam.pipelines.score.runner.provenance_of", lambda _: newer)
    first = run(manifest, out)
    monkeypatch.undo()
    monkeypatch.setattr(store, "CLIPS_PER_PART", 2)
    for result in (first, run(manifest, out)):  # the second scores nothing
        assert [made.from_clip for made in result.summary.settings.provenance] == [0, 4]
        assert result.summary.settings.provenance[-1].device == "an abacus"
        text = (out / "report.md").read_text("utf-8")
        assert "from clip 4 on: vidcam 9, torch 9.9, numpy 9.8, av 9.7; an abacus" in text
        assert "Not all clips were scored with the same versions" in text
    anew = run(manifest, out, replace(QUICK, overwrite=True))
    assert len(anew.summary.settings.provenance) == 1
    assert "Not all clips" not in (out / "report.md").read_text("utf-8")


def test_bad_rows_of_a_manifest_are_failed_rows(tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "set", 3)
    boxes = tmp_path / "set" / "boxes.csv"
    lines = ["path,start,boxes", "video0.mkv,0,", "video1.mkv,soon,", ",0,", "video2.mkv,0,[1]", "video3.mkv,0,[]"]
    boxes.write_text("\n".join(lines) + "\n")
    result = run(boxes, tmp_path / "out")
    assert (result.summary.n, result.failed) == (2, 3)
    reasons = {failure.path: failure.reason for failure in result.summary.failures}
    assert list(reasons) == ["video1.mkv", "line 4", "video2.mkv"]
    assert reasons["video1.mkv"].startswith("line 3: start is 'soon'")
    assert reasons["video2.mkv"].startswith("boxes cannot be read")
    assert manifest.exists()


def test_overlays_of_an_earlier_run_are_deleted(tmp_path: Path) -> None:
    manifest, out = write_set(tmp_path / "set", 2), tmp_path / "out"
    run(manifest, out)
    for name in ("1", "2", "mine"):
        (out / "worst" / name).mkdir(parents=True)
        (out / "worst" / name / "video.png").touch()
    run(manifest, out)
    assert [path.name for path in (out / "worst").iterdir()] == ["mine"]
    shutil.rmtree(out / "worst" / "mine")
    run(manifest, out)
    assert not (out / "worst").exists()
