"""Labels, probabilities and evidence of an explanation over time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.helpers.saved import hot_video
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.moments import MOST_MOMENTS
from vidcam.pipelines.render.summary import VideoSummary, name_maps, time_strip
from vidcam.results.timeline import Timeline

VIDEO = hot_video("video.mp4", np.linspace(0.0, 2.9, 30), 3.0)
SURE = float(np.exp(2.0) / (np.exp(2.0) + 2.0))
REST = float(1.0 / (np.exp(2.0) + 2.0))


def test_windows_at_a_moment_begin_with_the_nearest() -> None:
    line = Timeline(np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 4.0]), np.tile(np.arange(3.0), (3, 1)))
    summary = VideoSummary(dataclasses.replace(VIDEO, timeline=line), 0)
    moments = (0.0, 1.2, 1.8, 2.0, 3.9, 4.0, -1.0)  # windows are [start, end)
    assert [summary.windows_at(moment) for moment in moments] == [[0], [0, 1], [1, 0], [1, 2], [2], [2], [0]]


def test_a_fixed_target_has_its_probability_in_each_window() -> None:
    summary = VideoSummary(VIDEO, 0)
    assert [window[2] for window in summary.windows] == pytest.approx([SURE, REST, REST])
    assert summary.mean_probability == pytest.approx((SURE + 2 * REST) / 3)
    assert (summary.target_label, summary.contrast) == ("running", None)


def test_the_standing_of_a_target() -> None:
    logits = np.log(np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.3, 0.1, 0.6]], np.float32))
    made = dataclasses.replace(
        VIDEO, explanations=tuple(dataclasses.replace(each, logits=logits) for each in VIDEO.explanations)
    )
    summary = VideoSummary(made, 0)
    for windows, rank, own, rival, other in (
        ([0], 3, 0.1, "jumping", 0.7),
        ([1], 1, 0.5, "jumping", 0.3),
        ([2], 2, 0.3, "sitting 座る", 0.6),
        ([0, 1], 2, 0.3, "jumping", 0.5),
        ([0, 1, 2], 3, 0.3, "jumping", 1.1 / 3),
    ):
        found = summary.standing(windows)
        assert (found.rank, found.rival_label) == (rank, rival)
        assert [found.probability, found.rival_probability] == pytest.approx([own, other])


def test_per_window_each_window_has_its_own_class() -> None:
    summary = VideoSummary(VIDEO, 1)
    own = [summary.own_class(window) for window in range(3)]
    assert [label for label, _ in own] == ["running", "jumping", "sitting 座る"]
    assert [probability for _, probability in own] == pytest.approx([SURE] * 3)


def test_the_contrast_is_named() -> None:
    first = dataclasses.replace(VIDEO.explanations[0], contrast=np.full(3, 2))
    contrasted = dataclasses.replace(VIDEO, explanations=(first, VIDEO.explanations[1]), class_labels={0: "running"})
    assert VideoSummary(contrasted, 0).contrast == "class 2"


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
