"""Methods whose maps are the same are found, those that differ are kept apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.results.test_video import PTS, video
from vidcam.pipelines.render.equal_maps import distinct_maps
from vidcam.pipelines.render.frames import ShownMap
from vidcam.results.video import VideoExplanation

Volume = NDArray[np.float32]


def with_maps(**volumes: Volume) -> VideoExplanation:
    made = video(targets=2)
    each = tuple(replace(explanation, volumes=volumes, alpha={}) for explanation in made.explanations)
    return replace(made, explanations=each, bounds=dict.fromkeys(volumes, (0.0, 1.0)))


def groups(made: VideoExplanation, *methods: str) -> list[list[str]]:
    found = distinct_maps(made, [ShownMap(0, method) for method in methods], PTS)
    return [[each.shown.method, *each.same] for each in found]


def test_maps_that_differ_by_scale_or_rounding_are_the_same() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((11, 2, 3, 4)).astype(np.float32)
    noise = rng.normal(size=a.shape).astype(np.float32)
    made = with_maps(a=a, b=250 * a + 3, near=a + 0.002 * noise, far=a + 0.05 * noise, other=a[::-1].copy())
    assert groups(made, "a", "b", "near", "far", "other") == [["a", "b", "near"], ["far"], ["other"]]
    (first, *_) = distinct_maps(made, [ShownMap(0, name) for name in ("a", "b", "near")], PTS)
    assert first.same["b"] == pytest.approx(1.0, abs=1e-6)
    assert 0.9995 < first.same["near"] < 0.99999


def test_empty_maps_are_the_same_and_constant_ones_are_not() -> None:
    shape = (11, 2, 3, 4)
    zero, one = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    made = with_maps(zero=zero, nothing=zero, one=one)
    assert groups(made, "zero", "nothing", "one") == [["zero", "nothing"], ["one"]]


def test_guided_methods_and_other_targets_stay_apart() -> None:
    a = np.random.default_rng(0).random((11, 2, 3, 4)).astype(np.float32)
    made = with_maps(**{"gradcam": a, "guided-gradcam": a})
    assert groups(made, "gradcam", "guided-gradcam") == [["gradcam"], ["guided-gradcam"]]
    maps = [ShownMap(0, "gradcam"), ShownMap(1, "gradcam")]
    assert [each.shown for each in distinct_maps(made, maps, PTS)] == maps
