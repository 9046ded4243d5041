"""Evidence over time, against a video whose heat is known at every moment."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from vidcam.geometry import Geometry
from vidcam.pipelines.explain.curves import MOST_IN_JSON, MOST_ROWS, Curves, curves_of
from vidcam.results.explanation import Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import VideoExplanation


def brightening(labels: tuple[str, ...] = ("yes",)) -> VideoExplanation:
    """Two windows of two frames; the whole map rises from 0 to 3, a step a frame."""
    volumes = np.repeat(np.arange(4.0, dtype=np.float32).reshape(2, 2, 1, 1), 2, axis=2).repeat(2, axis=3)
    explanation = Explanation(
        volumes={"gradcam": volumes, "hirescam": np.zeros_like(volumes)},
        logits=np.log(np.array([[0.25, 0.75], [0.5, 0.5]])),
        target=np.array([0, 0]),
        contrast=None,
        layer="conv",
        input_size=(2, 4, 4),
        alpha={},
        alpha_exact=None,
        activation="softmax",
    )
    line = Timeline(np.array([0.0, 2.0]), np.array([2.0, 4.0]), np.array([[0.0, 1.0], [2.0, 3.0]]))
    return VideoExplanation(
        source="a.mp4",
        model="two",
        geometry=Geometry((4, 4), (4, 4), (4, 4), 0, 0),
        timeline=line,
        labels=labels,
        explanations=(explanation,) * len(labels),
        bounds={"gradcam": (0.0, 3.0), "hirescam": (0.0, 0.0)},
    )


def test_evidence_and_probability_of_each_frame() -> None:
    curves = curves_of(brightening(), ("gradcam", "hirescam", "guided-gradcam"), np.arange(5.0))
    assert curves.evidence[0]["gradcam"] == pytest.approx([0, 1 / 3, 2 / 3, 1, 0])
    assert curves.evidence[0]["guided-gradcam"] == pytest.approx([0, 1 / 3, 2 / 3, 1, 0])
    assert curves.probability[0][:4] == pytest.approx([0.25, 0.25, 0.5, 0.5])
    assert np.isnan(curves.probability[0][4])
    assert (curves.best_second(0, "gradcam"), curves.best_second(0, "hirescam")) == (3.0, None)


def test_the_csv() -> None:
    curves = curves_of(brightening(("yes", "no, never")), ("gradcam",), np.array([1.0, 4.0]))
    rows = list(csv.reader(io.StringIO(curves.to_csv(["yes", "no, never"]))))
    assert rows[0] == ["seconds", "yes: probability", "yes: gradcam", "no, never: probability", "no, never: gradcam"]
    assert rows[1] == ["1.000000", "0.25", "0.333333", "0.25", "0.333333"]
    assert rows[2] == ["4.000000", "nan", "0", "nan", "0"]


@pytest.mark.parametrize("count", [1, 200, 201, 1999, 2001, 5000])
def test_long_videos_are_thinned_evenly(count: int) -> None:
    seconds = np.linspace(0, 3.9, count)
    curves = curves_of(brightening(), ("gradcam",), seconds)
    assert curves.seconds.size <= MOST_ROWS
    few: Curves = curves.thinned()
    assert min(count, MOST_IN_JSON) / 2 <= few.seconds.size <= MOST_IN_JSON
    assert few.evidence[0]["gradcam"].size == few.probability[0].size == few.seconds.size
    steps = np.diff(few.seconds)
    assert steps.size == 0 or steps.max() - steps.min() < 1e-9
