from __future__ import annotations

import dataclasses
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.results.test_explanation import audit
from vidcam.errors import InputError, NameNotFoundError, ShapeError
from vidcam.geometry import Geometry
from vidcam.maps import normalise, upsample_volume
from vidcam.media import Seconds
from vidcam.results.explanation import Explanation, map_arrays
from vidcam.results.timeline import Timeline
from vidcam.results.video import CHUNK, VideoExplanation, video_bounds

METHODS = ("gradcam", "gradcam++")
IDENTITY = Geometry((24, 32), (24, 32), (24, 32), 0, 0)
CROPPED = Geometry((90, 160), (28, 50), (24, 32), 2, 9)
PTS: Seconds = np.arange(192, dtype=np.float64) * 0.04  # three chunks of moments
assert PTS.size == 3 * CHUNK


def line(count: int) -> Timeline:
    starts: Seconds = np.arange(count, dtype=np.float64) * 0.64
    return Timeline(starts, starts + 1.28, starts[:, None] + 0.08 * np.arange(16))


def explanation(clips: int, seed: int = 0, *, contrast: bool = False) -> Explanation:
    rng = np.random.default_rng(seed)
    return Explanation(
        volumes={name: rng.random((clips, 2, 3, 4)).astype(np.float32) for name in METHODS},
        logits=np.random.default_rng(99).normal(size=(clips, 5)).astype(np.float32),
        target=np.full(clips, seed),
        contrast=np.full(clips, 4) if contrast else None,
        layer="Mixed_5c",
        input_size=(16, 24, 32),
        alpha={"gradcam++": audit(clips, seed)},
        alpha_exact=(True, None, False)[seed % 3],
    )


def video(
    count: int = 11, targets: int = 1, geometry: Geometry = IDENTITY, seconds: NDArray[np.float64] = PTS
) -> VideoExplanation:
    made = tuple(explanation(count, seed, contrast=seed == 1) for seed in range(targets))
    return VideoExplanation(
        source="clip.mp4",
        model="i3d",
        geometry=geometry,
        timeline=line(count),
        labels=tuple(f"label {seed}, ü" for seed in range(targets)),
        explanations=made,
        bounds=tuple(video_bounds(each, line(count), seconds) for each in made),
    )


def test_bounds_cover_the_whole_video() -> None:
    made, timeline = explanation(11), line(11)
    bounds = video_bounds(made, timeline, PTS)
    for name in METHODS:
        whole = upsample_volume(timeline.blend(made.volume(name), PTS), (24, 32))
        assert bounds[name] == pytest.approx((float(whole.min()), float(whole.max())), rel=1e-6)
        assert all(type(bound) is float for bound in bounds[name])


def test_one_scale_for_the_whole_video() -> None:
    made = video()
    for name in METHODS:
        heat = made.heat(name, PTS)
        assert heat.shape == (192, 24, 32)
        assert heat.dtype == np.float32
        assert heat.min() >= 0
        assert heat.max() == pytest.approx(1, abs=1e-6)
        assert heat.min() == pytest.approx(0, abs=1e-6)
        assert (heat.max(axis=(1, 2)) < 0.99).any()  # no frame is normalised by itself


def test_heat_of_one_window_equals_that_of_its_clip() -> None:
    made = video(1, seconds=line(1).frame_seconds[0])
    heat = made.heat("gradcam", made.timeline.frame_seconds[0])
    np.testing.assert_allclose(heat, made.explanations[0].heat("gradcam")[0], rtol=0, atol=1e-5)


def test_heat_is_the_min_max_of_the_raw_blend() -> None:
    made = video(targets=2)
    seconds = np.array([0.3, 1.0, 4.44])
    raw = made.raw("gradcam++", seconds, target=1)
    np.testing.assert_array_equal(raw, made.timeline.blend(made.explanations[1].volume("gradcam++"), seconds))
    low, high = made.bounds[1]["gradcam++"]
    expected = (upsample_volume(raw, (24, 32)) - low) / (high - low)
    np.testing.assert_allclose(made.heat("gradcam++", seconds, target=1), expected, atol=1e-6)
    assert not np.allclose(made.heat("gradcam++", seconds, target=0), expected)


def test_source_heat_of_an_unscaled_source_equals_heat() -> None:
    made = video(geometry=IDENTITY)
    for second in (0.0, 0.777, 5.0):
        np.testing.assert_allclose(
            made.source_heat("gradcam", second), made.heat("gradcam", np.array([second]))[0], rtol=0, atol=1e-5
        )


def test_source_heat_equals_finely_upsampled_heat() -> None:
    made = video(geometry=CROPPED)
    drawn = made.source_heat("gradcam", 2.0)
    rows, columns = CROPPED.view_slices()
    assert drawn.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    raw = made.raw("gradcam", np.array([2.0]))
    low, high = made.bounds[0]["gradcam"]
    fine = normalise(upsample_volume(raw, (24 * 40, 32 * 40)), low, high)[0]  # 40 samples per input pixel
    for y, x in [(0, 0), (40, 50), (drawn.shape[0] - 1, drawn.shape[1] - 1), (13, 71)]:
        model_y, model_x = CROPPED.to_model(rows.start + y + 0.5, columns.start + x + 0.5)
        assert drawn[y, x] == pytest.approx(fine[int(model_y * 40), int(model_x * 40)], abs=0.02)


def test_moments_outside_all_windows_are_zero() -> None:
    made = video(2, seconds=PTS[:48])
    assert not made.raw("gradcam", np.array([-0.1, 1.92, 7.0])).any()
    assert not made.heat("gradcam", np.array([-0.1, 1.92, 7.0])).any()


def test_a_video_without_evidence_stays_zero() -> None:
    empty = dataclasses.replace(explanation(3), volumes={"gradcam": np.zeros((3, 2, 3, 4), np.float32)})
    bounds = video_bounds(empty, line(3), PTS[:60])
    assert bounds == {"gradcam": (0.0, 0.0)}
    made = VideoExplanation("a", "m", IDENTITY, line(3), ("x",), (empty,), (bounds,))
    assert not made.heat("gradcam", PTS[:60]).any()
    assert not made.source_heat("gradcam", 0.5).any()
    assert not made.evidence("gradcam", PTS[:60]).any()


def test_evidence_is_the_mean_heat_over_several_chunks() -> None:
    made = video()
    evidence = made.evidence("gradcam", PTS)
    assert evidence.dtype == np.float64
    assert evidence.shape == (192,)
    alone = [float(made.heat("gradcam", np.array([second])).astype(np.float64).mean()) for second in PTS]
    np.testing.assert_allclose(evidence, alone, rtol=0, atol=1e-6)


def test_unknown_method() -> None:
    with pytest.raises(NameNotFoundError, match=r"method 'gradcam\+' not found; the nearest are 'gradcam"):
        video().raw("gradcam+", PTS)


@pytest.mark.parametrize(
    ("method", "seconds", "target", "message"),
    [
        ("gradcam+", [0.5], 0, r"method 'gradcam\+' not found; .*this explanation has gradcam"),
        ("gradcam", [0.5], 2, r"target is 2, expected a position from 0 to 1: label 0, ü, label 1, ü"),
        ("gradcam", [0.5], -1, r"target is -1, expected a position from 0 to 1"),
        ("gradcam", 0.5, 0, r"seconds must be \(S,\) and finite, got 0\.5; pass \[moment\]"),
        ("gradcam", [0.5, float("nan")], 0, r"seconds must be \(S,\) and finite, got \[0\.5, nan\]"),
    ],
)
def test_invalid_method_target_or_moments(method: str, seconds: Any, target: int, message: str) -> None:
    made = video(targets=2)
    for ask in (made.raw, made.heat):
        with pytest.raises(InputError, match=message):
            ask(method, seconds, target=target)


def test_repr_is_short() -> None:
    text = repr(video(targets=2))
    assert text.startswith(
        "VideoExplanation('clip.mp4', 11 windows, targets=['label 0, ü', 'label 1, ü'], Explanation("
    )
    assert len(text) < 260


def test_explanations_must_have_one_clip_per_window() -> None:
    made = video()
    with pytest.raises(ShapeError, match=r"explanations must have the timeline's 11 clips, got \{3\}"):
        dataclasses.replace(made, explanations=(map_arrays(made.explanations[0], itemgetter([0, 1, 2])),))
    with pytest.raises(ShapeError, match=r"the timeline's 11 clips, got set\(\)"):
        dataclasses.replace(made, explanations=(), labels=(), bounds=())


@pytest.mark.parametrize("change", [{"labels": ()}, {"labels": ("a", "b")}, {"bounds": ()}])
def test_each_target_is_complete(change: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="each target needs a label, an explanation and bounds, got "):
        dataclasses.replace(video(), **change)


def test_each_target_is_drawn_on_its_own_scale() -> None:
    """The second target's maps are a hundred times as large. On its own scale its heat is the same."""
    first = explanation(4)
    volumes = {name: 100 * volume for name, volume in first.volumes.items()}
    both = (first, dataclasses.replace(first, volumes=volumes))
    moments = PTS[:80]
    made = VideoExplanation(
        "a", "m", CROPPED, line(4), ("x", "y"), both, tuple(video_bounds(each, line(4), moments) for each in both)
    )
    for name in METHODS:
        assert made.bounds[1][name] == pytest.approx(tuple(100 * bound for bound in made.bounds[0][name]), rel=1e-5)
        for draw in (
            lambda target, name=name: made.heat(name, moments, target=target),
            lambda target, name=name: made.source_heat(name, 1.0, target=target),
            lambda target, name=name: made.evidence(name, moments, target=target),
        ):
            np.testing.assert_allclose(draw(1), draw(0), rtol=0, atol=1e-5)
        assert (
            made.source_heat(name, 1.0, target=1).mean() < 0.9
        )  # with the bounds of the first target, all values would be 1
