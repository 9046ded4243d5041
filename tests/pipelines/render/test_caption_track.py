"""The text of captions over time: fixed targets, ranks, contrast, and each window's own class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.saved import hot_video
from vidcam.pipelines.render.caption_track import OWN_CLASS, CaptionTrack
from vidcam.render.caption_text import Row
from vidcam.results.timeline import Timeline
from vidcam.results.video import VideoExplanation

HOT = hot_video("video.mp4", np.linspace(0.0, 2.9, 30), 3.0)
OVERLAPPING = Timeline(np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 4.0]), np.tile(np.arange(3.0), (3, 1)))


def video(*probabilities: Sequence[float], targets: Sequence[int] = (0,)) -> VideoExplanation:
    """Windows with these probabilities of running, jumping and sitting; target 0 is running, target 1 per-window."""
    logits = np.log(np.array(probabilities, np.float32))
    chosen = [replace(HOT.explanations[target], logits=logits) for target in targets]
    chosen = [
        replace(each, target=logits.argmax(axis=1)) if target else each
        for each, target in zip(chosen, targets, strict=True)
    ]
    return replace(
        HOT,
        timeline=OVERLAPPING,
        labels=tuple(HOT.labels[target] for target in targets),
        explanations=tuple(chosen),
    )


def texts(rows: Sequence[Row]) -> list[str]:
    return [f"{row.before}{row.label}{row.after}{row.detail}" for row in rows]


def test_the_top_class_of_the_video_has_its_probability_on_display_and_its_mean() -> None:
    track = CaptionTrack(video([0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.9, 0.04, 0.06]), 0)
    assert {second: texts(track.rows(second)) for second in (0.0, 1.2, 2.5, 3.9, 9.0)} == {
        0.0: ["running 60 % (mean 77 %)"],
        1.2: ["running 70 % (mean 77 %)"],  # two windows
        2.5: ["running 85 % (mean 77 %)"],
        3.9: ["running 90 % (mean 77 %)"],
        9.0: ["running 90 % (mean 77 %)"],
    }


def test_a_target_that_is_not_the_top_class_has_its_rank_and_the_top_class() -> None:
    track = CaptionTrack(video([0.0012, 0.27, 0.7288], [0.1, 0.7, 0.2], [0.6, 0.3, 0.1]), 0)
    assert texts(track.rows(0.5)) == ["running 0.1 %, rank 3 (mean 23 %)", "top: sitting 座る 73 %"]
    assert texts(track.rows(1.5)) == ["running 5.1 %, rank 3 (mean 23 %)", "top: jumping 49 %"]
    assert texts(track.rows(3.5)) == ["running 60 %, rank 1 (mean 23 %)", "next: jumping 30 %"]
    assert track.distinct[0] == track.rows(0.5)
    assert {len(rows) for rows in track.distinct} == {2}


def test_several_targets_have_their_ranks() -> None:
    track = CaptionTrack(video(*[[0.6, 0.3, 0.1]] * 3, targets=(0, 1)), 0)
    assert [texts(rows) for rows in track.distinct] == [["running 60 %, rank 1 (mean 60 %)"]]


def test_one_window_has_no_mean() -> None:
    made = video(*[[0.6, 0.3, 0.1]] * 3)
    line = Timeline(np.array([0.0]), np.array([2.0]), np.arange(3.0)[None])
    first = made.explanations[0]
    one = replace(
        first, volumes={"gradcam": first.volumes["gradcam"][:1]}, logits=first.logits[:1], target=first.target[:1]
    )
    bounds = {"gradcam": made.bounds["gradcam"]}
    assert texts(CaptionTrack(replace(made, timeline=line, explanations=(one,), bounds=bounds), 0).rows(1.0)) == [
        "running 60 %"
    ]


def test_the_contrast_class_is_named() -> None:
    made = video(*[[0.6, 0.3, 0.1]] * 3)
    contrasted = replace(made, explanations=(replace(made.explanations[0], contrast=np.full(3, 2)),))
    assert texts(CaptionTrack(contrasted, 0).rows(1.0)) == ["running 60 % (mean 60 %)", "rather than sitting 座る"]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (0.5, ["running 60 %", OWN_CLASS]),
        (1.4, ["running 60 %", "blends with jumping 70 %"]),
        (1.6, ["jumping 70 %", "blends with running 60 %"]),
        (2.4, ["jumping 70 %", OWN_CLASS]),
        (3.9, ["jumping 80 %", OWN_CLASS]),
    ],
)
def test_per_window_the_classes_on_display_are_named(second: float, expected: list[str]) -> None:
    track = CaptionTrack(video([0.6, 0.3, 0.1], [0.1, 0.7, 0.2], [0.1, 0.8, 0.1], targets=(1,)), 0)
    assert texts(track.rows(second)) == expected
