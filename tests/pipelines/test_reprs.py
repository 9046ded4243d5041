"""The reprs of results that users print: one or two lines, also for a set of many clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.score_results import DONE, scores
from vidcam.pipelines.render.renderer import Rendered
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.table import ClipInfo

MANY = 1000
FOLDER = Path("/home/user/studies/kinetics/gradcam-and-gradcam++/out")


def results_of_many_clips() -> ScoredClips:
    names = [f"clip-{index}.mp4" for index in range(MANY)]
    small = scores()
    table = replace(
        small,
        counts={"scored": MANY, "failed": MANY, "left out": MANY},
        clips=ClipInfo(clip=list(range(MANY)), path=names, group=names, class_label=names),
        failures=[(name, "no video") for name in names],
        _values={name: values.repeat(MANY // 2, axis=1) for name, values in small._values.items()},
    )
    summary = summarise(table, DONE, worst=tuple(names))
    return ScoredClips(
        summary, table, tuple(FOLDER / name for name in ("scores.csv", "report.md", "summary.json")), (0, 0)
    )


@pytest.mark.parametrize("part", ["all", "summary", "table"])
def test_the_repr_of_scores_is_short(part: str) -> None:
    result = results_of_many_clips()
    text = repr({"all": result, "summary": result.summary, "table": result.table}[part])
    assert len(text) < 300
    assert "1000" in text
    assert "3 methods" in text
    assert part != "all" or f"3 files in '{FOLDER}'" in text


def test_the_repr_of_a_rendering_is_short() -> None:
    notes = ("frames of 80 × 64 are too small for captions",) * 9
    rendered = Rendered(FOLDER / "video.mp4", "mp4", 230, notes, {"draw": 1.0})
    assert repr(rendered) == f"Rendered('{FOLDER}/video.mp4', mp4, 230 frames, 9 notes)"
    assert repr(replace(rendered, notes=())) == f"Rendered('{FOLDER}/video.mp4', mp4, 230 frames)"
