"""Labels, probabilities and evidence of an explanation over time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.helpers.saved import hot_video
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.summary import MOST_MOMENTS, VideoSummary, name_maps, time_strip
from vidcam.results.timeline import Timeline

VIDEO = hot_video("video.mp4", np.linspace(0.0, 2.9, 30), 3.0)
SURE = float(np.exp(2.0) / (np.exp(2.0) + 2.0))
REST = float(1.0 / (np.exp(2.0) + 2.0))


def test_a_fixed_target_keeps_its_label_while_its_probability_changes() -> None:
    summary = VideoSummary(VIDEO, 0)
    assert [summary.label(second) for second in (0.5, 1.5, 2.5)] == ["running"] * 3
    assert [summary.probability(second) for second in (0.5, 1.5, 2.9)] == pytest.approx([SURE, REST, REST])
    assert [summary.probability(second) for second in (0.0, 1.0)] == pytest.approx(
        [SURE, REST]
    )  # windows are [start, end)
    assert summary.probability(3.0) is None
    assert summary.mean_probability == pytest.approx((SURE + 2 * REST) / 3)
    assert [summary.probability(second) for second in (-0.1, 3.5)] == [None, None]


def test_per_window_each_moment_has_the_label_of_the_nearest_window() -> None:
    summary = VideoSummary(VIDEO, 1)
    assert [summary.label(second) for second in (0.5, 1.4, 2.9)] == ["running", "jumping", "sitting 座る"]
    assert summary.caption("gradcam++", 1.5) == ("jumping", "79 % · gradcam++")
    assert summary.caption("gradcam", 9.0) == ("sitting 座る", "gradcam")


def test_per_window_labels_have_the_probability_of_their_window() -> None:
    line = Timeline(np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 4.0]), np.tile(np.arange(3.0), (3, 1)))
    logits = np.array([[9.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 5.0]], np.float32)
    made = dataclasses.replace(
        VIDEO,
        timeline=line,
        explanations=tuple(dataclasses.replace(each, logits=logits) for each in VIDEO.explanations),
    )
    fixed, own = VideoSummary(made, 0), VideoSummary(made, 1)
    chance = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=1, keepdims=True)
    assert fixed.probability(1.4) == pytest.approx(chance[:2, 0].mean(), abs=1e-6)
    for second, window in ((0.5, 0), (1.4, 0), (1.6, 1), (2.4, 1), (3.9, 2)):
        assert own.label(second) == ("running", "jumping", "sitting 座る")[window]
        assert own.probability(second) == pytest.approx(chance[window, window], abs=1e-6)
    assert own.probability(4.1) is None


def test_the_contrast_is_named() -> None:
    first = dataclasses.replace(VIDEO.explanations[0], contrast=np.full(3, 2))
    contrasted = dataclasses.replace(VIDEO, explanations=(first, VIDEO.explanations[1]), class_labels={0: "running"})
    assert VideoSummary(contrasted, 0).label(1.0) == "running rather than class 2"


def test_leaders_are_the_highest_scores() -> None:
    assert VideoSummary(VIDEO, 0).leaders() == ["running", "jumping", "sitting 座る"]


def test_maps_are_named_by_what_differs() -> None:
    one, both = [ShownMap(0, "gradcam"), ShownMap(0, "gradcam++")], [ShownMap(0, "gradcam"), ShownMap(1, "gradcam")]
    assert name_maps(VIDEO, one) == dict(zip(("gradcam", "gradcam++"), one, strict=True))
    assert name_maps(VIDEO, both) == dict(zip(("gradcam, running", "gradcam, per-window"), both, strict=True))


@pytest.mark.parametrize(("count", "step"), [(2000, 1), (2001, 2), (4000, 2), (4001, 3)])
def test_curves_of_a_long_video_are_thinned_evenly(count: int, step: int) -> None:
    pts = np.linspace(0.0, 2.9, count)
    strip = time_strip(VIDEO, [ShownMap(0, "gradcam")], pts, (0.0, 3.0))
    np.testing.assert_array_equal(strip.seconds, pts[::step])
    assert strip.seconds.size <= MOST_MOMENTS


def test_evidence_is_relative_to_its_maximum() -> None:
    seconds = np.linspace(0.0, 2.9, 30)
    none = dataclasses.replace(VIDEO, bounds={"gradcam": (1.0, 2.0), "gradcam++": (0.0, 250.0)})
    strip = time_strip(none, [ShownMap(0, "gradcam"), ShownMap(0, "gradcam++")], seconds, (0.0, 3.0))
    raw = VIDEO.evidence("gradcam++", seconds)
    np.testing.assert_allclose(strip.evidence["gradcam++"], raw / raw.max())
    assert not strip.evidence["gradcam"].any()


def test_the_curves_of_targets_share_the_peak_of_their_method() -> None:
    """The second target has half of the first one's evidence; each method has its own peak."""
    first = VIDEO.explanations[0]
    weak = dataclasses.replace(first, volumes={name: volume / 2 for name, volume in first.volumes.items()})
    both = dataclasses.replace(VIDEO, explanations=(first, weak))
    maps = [ShownMap(target, method) for target in (0, 1) for method in ("gradcam", "gradcam++")]
    strip = time_strip(both, maps, np.linspace(0.0, 2.9, 30), (0.0, 3.0))
    peaks = [float(values.max()) for values in strip.evidence.values()]
    assert peaks == pytest.approx([1.0, 1.0, 0.5, 0.5])


def test_a_guided_method_has_the_evidence_of_the_map_it_multiplies() -> None:
    seconds = np.linspace(0.0, 2.9, 30)
    strip = time_strip(VIDEO, [ShownMap(1, "guided-gradcam++"), ShownMap(1, "gradcam++")], seconds, (0.0, 3.0))
    np.testing.assert_array_equal(strip.evidence["guided-gradcam++"], strip.evidence["gradcam++"])
    assert strip.probability_of == ""
