"""The videos of `explain`: targets, methods, fill, and the frames of the contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.helpers.rendered import outlined
from tests.helpers.videos import Frames, noise_frames
from tests.pipelines.test_windows import Reel
from vidcam.fill import Fill
from vidcam.geometry import Geometry
from vidcam.maps import Floats
from vidcam.media import Seconds
from vidcam.pipelines.render.frames import FrameRenderer, Kind, RenderStyle, ShownMap
from vidcam.pipelines.render.moments import choose_moments
from vidcam.pipelines.render.sheet import SheetFrames, column_count
from vidcam.pipelines.render.videos import Video, draw_videos, video_list
from vidcam.render.caption_text import CAPTION_PLACES, CaptionPlace
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Overlay, explanation_map
from vidcam.results.explanation import Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import Interpolation, VideoExplanation, video_bounds
from vidcam.system.progress import StageTimer, silent

METHODS = ("gradcam", "gradcam++")
MEAN = (40.0, 80.0, 160.0)


def _video(reel: Reel, *, start: float = 0.0, targets: int = 2) -> VideoExplanation:
    """One window over the reel; maps are noise, those of target k 10 ** -k times as large."""
    line = Timeline(np.array([start]), np.array([reel.info.duration_seconds]), reel.info.pts_seconds[None, ::2])
    rng = np.random.default_rng(5)
    explanations = tuple(
        Explanation(
            volumes={method: (rng.random((1, 2, 3, 3)) * 10.0**-target).astype(np.float32) for method in METHODS},
            logits=np.zeros((1, 5), dtype=np.float32),
            target=np.array([target]),
            contrast=None,
            layer="relu",
            input_size=(line.frame_seconds.shape[1], 12, 12),
        )
        for target in range(targets)
    )
    height, width = reel.info.size
    return VideoExplanation(
        source="reel.mp4",
        model="noise",
        geometry=Geometry((height, width), (16, 20), (12, 12), 2, 4),
        timeline=line,
        labels=tuple(f"label {target}" for target in range(targets)),
        explanations=explanations,
        bounds=video_bounds(explanations, line, np.maximum(reel.info.pts_seconds, start)),
    )


class Tray:
    """Replaces `VideoWriter` and collects the frames."""

    all: dict[str, Tray]

    def __init__(self, path: Path, **_: object) -> None:
        self.frames: list[Frames] = []
        self.seconds: list[float] = []
        self.is_closed = False
        self.all[path.name] = self

    def write(self, frame: Frames, second: float) -> None:
        self.frames.append(frame)
        self.seconds.append(second)

    def __enter__(self) -> Tray:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True


@pytest.fixture
def trays(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tray]:
    made: dict[str, Tray] = {}
    monkeypatch.setattr(Tray, "all", made, raising=False)
    monkeypatch.setattr("vidcam.pipelines.render.videos.VideoWriter", Tray)
    return made


def _draw(
    reel: Reel,
    video: VideoExplanation,
    videos: Sequence[Video],
    *,
    pts: Seconds | None = None,
    fill: Fill = "black",
    captions: CaptionPlace = "inside",
    sheet: SheetFrames | None = None,
) -> tuple[str, ...]:
    moments = reel.info.pts_seconds if pts is None else pts
    return draw_videos(
        FrameRenderer(video, RenderStyle(fill, MEAN)),
        reel,
        videos,
        Path("nowhere"),
        pts_seconds=moments,
        end_seconds=reel.info.duration_seconds,
        clock=StageTimer(),
        progress=silent,
        captions=captions,
        sheet=sheet,
    )


KINDS: tuple[Kind, ...] = ("overlay", "map")
VIDEOS = [
    Video(f"{target}_{method}_{kind}", kind, ShownMap(target, method))
    for target in range(2)
    for method in METHODS
    for kind in KINDS
]


def test_each_video_shows_its_own_target_method_and_kind(trays: Mapping[str, Tray]) -> None:
    reel = Reel(noise_frames(10, 32, 40))
    source = _video(reel)
    view = source.geometry.view_slices()
    _draw(reel, source, VIDEOS, fill="mean")
    assert reel.asked == reel.info.pts_seconds.tolist()  # decoded once for eight videos
    for video in VIDEOS:
        tray = trays[video.name]
        assert tray.is_closed
        assert tray.seconds == reel.info.pts_seconds.tolist()
        for (second, frame), drawn in zip(reel.frames(), tray.frames, strict=True):
            heat = source.source_heat(video.map.method, second, target=video.map.target).astype(np.float32)
            if video.kind == "overlay":
                expected = outlined(Overlay(colour_table()).blend(frame, heat, view), view)
            else:
                expected = explanation_map(frame, heat, view, fill="mean", mean_rgb=MEAN)
            np.testing.assert_array_equal(drawn, expected)
    assert len({np.stack(tray.frames).tobytes() for tray in trays.values()}) == 8


def test_a_map_is_drawn_once_for_all_kinds(trays: Mapping[str, Tray], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bytes, str]] = []
    real = VideoExplanation.on_source

    def on_source(self: VideoExplanation, method: str, plane: Floats, interpolation: Interpolation) -> Floats:
        asked.append((method, plane.tobytes(), interpolation))
        return real(self, method, plane, interpolation)

    monkeypatch.setattr(VideoExplanation, "on_source", on_source)
    reel = Reel(noise_frames(9, 32, 40))
    video = _video(reel)
    sheet = SheetFrames.plan(video, [ShownMap(1, "gradcam")], reel.info.pts_seconds)
    _draw(reel, video, VIDEOS, sheet=sheet)
    assert len(asked) == len(set(asked)) == 9 * 2 * 2


@pytest.mark.parametrize("fill", ["black", "mean", "blur", "frame-mean"])
def test_hidden_pixels_become_the_fill_by_hand(fill: Fill, trays: Mapping[str, Tray]) -> None:
    reel = Reel(noise_frames(4, 32, 40))
    video = _video(reel)
    hidden = replace(video, bounds=dict.fromkeys(METHODS, (1e3, 2e3)))  # heat 0 everywhere
    _draw(reel, hidden, [Video("a", "map", ShownMap(0, "gradcam"))], fill=fill)
    rows, columns = video.geometry.view_slices()
    for (_, frame), drawn in zip(reel.frames(), trays["a"].frames, strict=True):
        seen = frame[rows, columns]
        blurred = Image.fromarray(seen).filter(ImageFilter.GaussianBlur(min(seen.shape[:2]) * 10 / 224))
        expected: dict[str, Any] = {
            "black": 0,
            "mean": MEAN,
            "blur": np.asarray(blurred),
            "frame-mean": np.floor(seen.reshape(-1, 3).mean(axis=0) + 0.5),
        }
        np.testing.assert_array_equal(drawn[rows, columns], np.broadcast_to(expected[fill], seen.shape))


@pytest.mark.parametrize("kind", KINDS)
def test_each_video_has_the_captions_of_its_map(kind: Kind, trays: Mapping[str, Tray]) -> None:
    reel = Reel(noise_frames(3, 256, 340))
    made, pictures = _video(reel), {}
    for place in CAPTION_PLACES:
        videos = [Video(f"{place} {method}", kind, ShownMap(1, method)) for method in METHODS]
        assert _draw(reel, made, videos, captions=place) == ()
        pictures[place] = [np.stack(trays[video.name].frames) for video in videos]
    for bare, inside, margin in zip(*(pictures[place] for place in CAPTION_PLACES), strict=True):
        assert bare.shape == inside.shape == (3, 256, 340, 3)
        np.testing.assert_array_equal(margin[:, :256], bare)
        assert margin.shape[1] > 256
        differs = (inside != bare).any(axis=(0, 3))
        assert 0.01 < differs.mean() < 1 / 6
    first, second = (each[:, 256:] for each in pictures["margin"])  # of two methods
    assert not np.array_equal(first, second)


# ---- sheet


def test_the_sheet_collects_its_moments_and_each_map_once() -> None:
    reel = Reel(noise_frames(80, 32, 40))
    video = _video(reel)
    maps = [ShownMap(0, "gradcam"), ShownMap(1, "gradcam++")]
    sheet = SheetFrames.plan(video, maps, reel.info.pts_seconds)
    evidence = video.evidence("gradcam", reel.info.pts_seconds)
    expected = choose_moments(evidence, reel.info.pts_seconds, count=5)
    assert sheet.best == evidence.argmax() / 25
    assert evidence.argmax() in expected
    _draw(reel, video, [], sheet=sheet)
    assert sheet.seconds == list(sheet.moments) == [index / 25 for index in expected]
    frames = [frame for _, frame in reel.frames()]
    np.testing.assert_array_equal(sheet.source, [frames[index] for index in expected])
    assert list(sheet.overlays) == maps
    view = video.geometry.view_slices()
    for shown, overlays in sheet.overlays.items():
        for index, drawn in zip(expected, overlays, strict=True):
            heat = video.source_heat(shown.method, index / 25, target=shown.target).astype(np.float32)
            picture = outlined(Overlay(colour_table()).blend(frames[index], heat, view), view)
            np.testing.assert_array_equal(drawn, picture)


@pytest.mark.parametrize(("size", "count"), [((90, 160), 5), ((100, 100), 5), ((150, 108), 7), ((1920, 1080), 7)])
def test_narrow_frames_have_more_moments(size: tuple[int, int], count: int) -> None:
    assert column_count(size) == count


def test_sheet_frames_of_large_videos_are_shrunk_by_whole_steps() -> None:
    frames = np.zeros((1, 640, 1280, 3), np.uint8)
    frames[:, ::2, ::2] = 100  # one pixel of four: their mean is 25
    reel = Reel(frames)
    video = _video(reel)
    sheet = SheetFrames.plan(video, [ShownMap(0, "gradcam")], reel.info.pts_seconds)
    _draw(reel, video, [], sheet=sheet)
    assert sheet.source[0].shape == sheet.overlays[ShownMap(0, "gradcam")][0].shape == (320, 640, 3)
    assert np.unique(sheet.source[0]).tolist() == [25]


def test_without_a_sheet_no_frames_are_collected(trays: Mapping[str, Tray]) -> None:
    reel = Reel(noise_frames(9, 32, 40))
    _draw(reel, _video(reel), VIDEOS[:1])
    assert len(trays) == 1


def test_the_first_frame_has_the_map_of_the_start_of_the_window(trays: Mapping[str, Tray]) -> None:
    """The window starts while frame 2 is displayed; before that moment no window covers the video."""
    reel = Reel(noise_frames(10, 32, 40))
    video, pts = _video(reel, start=0.1), reel.info.pts_seconds[2:]
    sheet = SheetFrames.plan(video, [ShownMap(0, "gradcam")], pts[:5])
    _draw(reel, video, [Video("a", "map", ShownMap(0, "gradcam"))], pts=pts, sheet=sheet)
    assert not video.source_heat("gradcam", 0.08).any()
    view = video.geometry.view_slices()
    frame = next(reel.frames_at(np.array([0.08])))[1]
    heat = video.source_heat("gradcam", 0.1).astype(np.float32)
    np.testing.assert_array_equal(trays["a"].frames[0], explanation_map(frame, heat, view))
    assert trays["a"].seconds == pytest.approx([index / 25 for index in range(8)])
    assert sheet.moments == pytest.approx([index / 25 for index in range(2, 7)])
    assert sheet.seconds == pytest.approx([0.1, *(index / 25 for index in range(3, 7))])


# ---- names


def test_names_of_videos() -> None:
    methods = ("gradcam", "gradcam++")
    videos, files = video_list("clip", ["one", "two"], methods, ["overlay", "map"])
    assert [(video.name, video.kind, video.map.target, video.map.method) for video in videos] == [
        ("clip_one_gradcam.mp4", "overlay", 0, "gradcam"),
        ("clip_one_gradcam_map.mp4", "map", 0, "gradcam"),
        ("clip_one_gradcam++.mp4", "overlay", 0, "gradcam++"),
        ("clip_one_gradcam++_map.mp4", "map", 0, "gradcam++"),
        ("clip_two_gradcam.mp4", "overlay", 1, "gradcam"),
        ("clip_two_gradcam_map.mp4", "map", 1, "gradcam"),
        ("clip_two_gradcam++.mp4", "overlay", 1, "gradcam++"),
        ("clip_two_gradcam++_map.mp4", "map", 1, "gradcam++"),
    ]
    assert files[1] == {
        "gradcam": {"overlay": "clip_two_gradcam.mp4", "map": "clip_two_gradcam_map.mp4"},
        "gradcam++": {"overlay": "clip_two_gradcam++.mp4", "map": "clip_two_gradcam++_map.mp4"},
    }
    assert video_list("clip", ["one", "two"], methods, []) == ([], [{}, {}])
