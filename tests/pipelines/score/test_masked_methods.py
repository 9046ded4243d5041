"""`occlusion` and `rise` in `score`: rows, progress within a clip, and an interrupted run."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.helpers.nets import hidden_model
from vidcam.pipelines.score.run import score_clips


def test_an_interrupted_run_keeps_its_clips(manifest: Path, tmp_path: Path) -> None:
    told: list[float] = []

    def stop_within_the_fourth(stage: str, done: float, _total: float | None) -> None:
        if stage == "scoring clips":
            told.append(done)
            if done > 3:
                raise KeyboardInterrupt

    def score(out: Path, progress: object = None) -> int:
        result = score_clips(
            manifest,
            out,
            model=hidden_model(),
            methods=("occlusion", "rise"),
            measures="drop",
            budget=9,
            controls=False,
            progress=progress,  # type: ignore[arg-type]
        )
        return result.forwards[1]

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        score(parts, stop_within_the_fourth)
    assert told[:2] == [1 / 18, 2 / 18]
    assert score(whole) - score(parts) == 2  # of three clips one is broken
    assert (parts / "scores.csv").read_bytes() == (whole / "scores.csv").read_bytes()
    with (whole / "scores.csv").open(encoding="utf-8", newline="") as file:
        noise = {row["method"]: row["noise"] for row in csv.DictReader(file)}
    assert not noise["occlusion"]
    assert 0 < float(noise["rise"]) < 1
