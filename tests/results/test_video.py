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
from vidcam.results.clip_arrays import map_arrays
from vidcam.results.explanation import Explanation
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
        bounds=video_bounds(made, line(count), seconds),
    )


def test_each_target_needs_verdicts() -> None:
    with pytest.raises(ShapeError, match="each target needs verdicts, got 1 for 2 targets"):
        dataclasses.replace(video(targets=2), verdicts=({},))


def test_bounds_cover_the_whole_video() -> None:
    made, timeline = explanation(11), line(11)
    bounds = video_bounds([made], timeline, PTS)
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
    low, high = made.bounds["gradcam++"]
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
    low, high = made.bounds["gradcam"]
    fine = normalise(upsample_volume(raw, (24 * 40, 32 * 40)), low, high)[0]  # 40 samples per input pixel
    for y, x in [(0, 0), (40, 50), (drawn.shape[0] - 1, drawn.shape[1] - 1), (13, 71)]:
        model_y, model_x = CROPPED.to_model(rows.start + y + 0.5, columns.start + x + 0.5)
        assert drawn[y, x] == pytest.approx(fine[int(model_y * 40), int(model_x * 40)], abs=0.02)


def test_source_heat_of_cells_and_smooth_source_heat() -> None:
    """An unscaled source of 24 × 32 pixels, cells of 8 × 8. All interpolations agree at the centres of the cells."""
    made = video(geometry=IDENTITY)
    plane = normalise(made.raw("gradcam", np.array([2.0]))[0], *made.bounds["gradcam"])
    cells, smooth, linear = (
        made.source_heat("gradcam", 2.0, interpolation=interpolation) for interpolation in ("cells", "smooth", "linear")
    )
    np.testing.assert_array_equal(cells, plane.repeat(8, axis=0).repeat(8, axis=1))
    assert smooth.shape == cells.shape == (24, 32)
    assert smooth.min() >= 0
    assert np.abs(smooth - linear).max() < 0.15
    assert np.abs(smooth - linear).max() > 0.01
    for picture in (smooth, linear):  # the centre of a cell lies between four pixels
        middles = sum(picture[3 + dy :: 8, 3 + dx :: 8] for dy in (0, 1) for dx in (0, 1)) / 4
        np.testing.assert_allclose(middles, plane, atol=0.05)


def test_moments_outside_all_windows_are_zero() -> None:
    made = video(2, seconds=PTS[:48])
    assert not made.raw("gradcam", np.array([-0.1, 1.92, 7.0])).any()
    assert not made.heat("gradcam", np.array([-0.1, 1.92, 7.0])).any()


def test_a_video_without_evidence_stays_zero() -> None:
    empty = dataclasses.replace(explanation(3), volumes={"gradcam": np.zeros((3, 2, 3, 4), np.float32)})
    bounds = video_bounds([empty], line(3), PTS[:60])
    assert bounds == {"gradcam": (0.0, 0.0)}
    made = VideoExplanation("a", "m", IDENTITY, line(3), ("x",), (empty,), bounds)
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
        dataclasses.replace(made, explanations=(), labels=(), bounds={})


@pytest.mark.parametrize("labels", [(), ("a", "b")])
def test_each_target_has_a_label(labels: tuple[str, ...]) -> None:
    with pytest.raises(ShapeError, match=f"each target needs a label and an explanation, got {len(labels)} and 1"):
        dataclasses.replace(video(), labels=labels)


@pytest.mark.parametrize("bounds", [{}, {"gradcam": (0.0, 1.0)}, dict.fromkeys((*METHODS, "cam"), (0.0, 1.0))])
def test_each_method_has_bounds(bounds: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ShapeError, match=r"each method needs bounds, got .* for \['gradcam', 'gradcam\+\+'\]"):
        dataclasses.replace(video(), bounds=bounds)


def constant_maps(*strengths: float) -> Explanation:
    """Maps of windows that are the same everywhere but in one cell, which has no evidence."""
    volumes = np.ones((len(strengths), 2, 3, 4), np.float32) * np.array(strengths, np.float32)[:, None, None, None]
    volumes[..., 0, 0] = 0.0
    base = explanation(len(strengths))
    return dataclasses.replace(base, volumes={"gradcam": volumes}, alpha={})


def of_maps(*explanations: Explanation) -> VideoExplanation:
    count = len(explanations[0])
    bounds = video_bounds(explanations, apart(count), moments(count))
    labels = tuple(str(number) for number in range(len(explanations)))
    return VideoExplanation("a", "m", IDENTITY, apart(count), labels, explanations, bounds)


def apart(count: int) -> Timeline:
    """Windows of one second, one after the other."""
    starts: Seconds = np.arange(count, dtype=np.float64)
    return Timeline(starts, starts + 1.0, starts[:, None] + np.array([0.0, 0.5]))


def moments(count: int) -> Seconds:
    """The middles of the windows."""
    return np.arange(count, dtype=np.float64) + 0.5


def largest(made: VideoExplanation, target: int = 0) -> list[float]:
    return [float(plane.max()) for plane in made.heat("gradcam", moments(len(made.timeline)), target=target)]


def test_all_targets_have_one_scale() -> None:
    """The second target has a quarter of the first one's evidence in the first window, and half in the second."""
    made = of_maps(constant_maps(8.0, 2.0), constant_maps(2.0, 1.0))
    assert made.bounds == {"gradcam": (0.0, 8.0)}
    assert largest(made) == [1.0, 0.25]
    assert largest(made, target=1) == [0.25, 0.125]
    assert made.source_heat("gradcam", 0.5, target=1).max() == 0.25
    assert made.evidence("gradcam", moments(1), target=1) == pytest.approx(made.evidence("gradcam", moments(1)) / 4)


def test_by_window_each_map_is_divided_by_its_own_maximum() -> None:
    made = of_maps(constant_maps(8.0, 2.0, 0.0))
    assert made.scale == "video"
    by_window = made.rescaled("window", moments(3))
    assert by_window.scale == "window"
    assert by_window.bounds == {"gradcam": (0.0, 1.0)}
    assert largest(by_window) == [1.0, 1.0, 0.0]
    assert by_window.source_heat("gradcam", 1.5).max() == 1.0
    np.testing.assert_array_equal(by_window.raw("gradcam", moments(3)), made.raw("gradcam", moments(3)))
    assert largest(by_window.rescaled("video", moments(3))) == [1.0, 0.25, 0.0]


def test_by_window_targets_still_share_their_scale() -> None:
    made = of_maps(constant_maps(8.0, 2.0), constant_maps(2.0, 4.0)).rescaled("window", moments(2))
    assert largest(made) == [1.0, 0.5]
    assert largest(made, target=1) == [0.25, 1.0]


def test_by_window_maps_are_divided_before_they_are_blended() -> None:
    """In the middle between two windows, both have the same weight: (8 / 8 + 2 / 2) / 2, not (8 + 2) / 2."""
    timeline = Timeline(np.array([0.0, 0.5]), np.array([1.0, 1.5]), np.array([[0.0, 0.9], [0.5, 1.4]]))
    made = of_maps(constant_maps(8.0, 2.0))
    made = dataclasses.replace(made, timeline=timeline)
    seconds = np.array([0.25, 0.75, 1.25])
    assert largest_at(made.rescaled("video", seconds), 0.75) == pytest.approx(5 / 8)
    assert largest_at(made.rescaled("window", seconds), 0.75) == pytest.approx(1.0)


def largest_at(made: VideoExplanation, second: float) -> float:
    return float(made.heat("gradcam", np.array([second])).max())
