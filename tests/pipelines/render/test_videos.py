"""The videos of `explain`: what is drawn of which target, with which fill, and which moments are kept for the sheet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from tests.helpers.films import load_film
from tests.helpers.nets import BRIGHTNESS_SPEC, BrightnessNet, brightness_model
from tests.helpers.videos import Frames, noise_frames, write_video
from tests.pipelines.test_windows import Reel
from vidcam.fill import Fill
from vidcam.geometry import Geometry
from vidcam.media import Seconds
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import ExplainedVideo, explain_video
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.render.frames import FrameRenderer, Kind, RenderStyle, ShownMap
from vidcam.pipelines.render.sheet import SHEET_COLUMNS, SheetFrames
from vidcam.pipelines.render.videos import Video, draw_videos, video_list
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Overlay, explanation_map, outline
from vidcam.results.explanation import Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import Film, film_bounds
from vidcam.spec import Scaling
from vidcam.system.json_files import as_plain
from vidcam.system.progress import StageTimer, silent
from vidcam.video.reader import open_video

METHODS = ("gradcam", "gradcam++")
MEAN = (40.0, 80.0, 160.0)


def _film(reel: Reel, *, start: float = 0.0, targets: int = 2) -> Film:
    """One window over the reel; maps are noise, those of target k 10 ** -k times as large."""
    line = Timeline(np.array([start]), np.array([reel.info.duration_seconds]), reel.info.pts_seconds[None, ::2])
    rng = np.random.default_rng(5)
    explanations = tuple(
        Explanation(
            volumes={method: (rng.random((1, 2, 3, 3)) * 10.0**-target).astype(np.float32) for method in METHODS},
            logits=np.zeros((1, 5), dtype=np.float32),
            target=np.array([target]),
            foil=None,
            layer="relu",
            input_size=(line.frame_seconds.shape[1], 12, 12),
        )
        for target in range(targets)
    )
    height, width = reel.info.size
    return Film(
        source="reel.mp4",
        model="noise",
        geometry=Geometry((height, width), (16, 20), (12, 12), 2, 4),
        timeline=line,
        labels=tuple(f"label {target}" for target in range(targets)),
        explanations=explanations,
        bounds=tuple(
            film_bounds(explanation, line, np.maximum(reel.info.pts_seconds, start)) for explanation in explanations
        ),
    )


class Tray:
    """Takes the place of `VideoWriter` and keeps what it is given, unencoded."""

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
    film: Film,
    videos: Sequence[Video],
    *,
    pts: Seconds | None = None,
    fill: Fill = "black",
    sheet: SheetFrames | None = None,
) -> None:
    moments = reel.info.pts_seconds if pts is None else pts
    draw_videos(
        FrameRenderer(film, RenderStyle(fill, MEAN)),
        reel,
        videos,
        Path("nowhere"),
        pts_seconds=moments,
        end_seconds=reel.info.duration_seconds,
        clock=StageTimer(),
        progress=silent,
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
    film = _film(reel)
    view = film.geometry.view_slices()
    _draw(reel, film, VIDEOS, fill="mean")
    assert reel.asked == reel.info.pts_seconds.tolist()  # decoded once for eight videos
    for video in VIDEOS:
        tray = trays[video.name]
        assert tray.is_closed
        assert tray.seconds == reel.info.pts_seconds.tolist()
        for (second, frame), drawn in zip(reel.frames(), tray.frames, strict=True):
            heat = film.source_heat(video.map.method, second, target=video.map.target).astype(np.float32)
            if video.kind == "overlay":
                expected = outline(Overlay(colour_table()).blend(frame, heat, view), view)
            else:
                expected = explanation_map(frame, heat, view, fill="mean", mean_rgb=MEAN)
            np.testing.assert_array_equal(drawn, expected)
    assert len({np.stack(tray.frames).tobytes() for tray in trays.values()}) == 8


def test_a_map_is_drawn_once_for_all_kinds(trays: Mapping[str, Tray], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float, int]] = []
    real = Film.source_heat

    def source_heat(self: Film, method: str, second: float, *, target: int = 0) -> Any:
        asked.append((method, second, target))
        return real(self, method, second, target=target)

    monkeypatch.setattr(Film, "source_heat", source_heat)
    reel = Reel(noise_frames(9, 32, 40))
    _draw(reel, _film(reel), VIDEOS, sheet=SheetFrames([ShownMap(1, "gradcam")]))
    assert len(asked) == len(set(asked)) == 9 * 2 * 2


@pytest.mark.parametrize("fill", ["black", "mean", "blur", "frame-mean"])
def test_what_is_hidden_becomes_the_fill_by_hand(fill: Fill, trays: Mapping[str, Tray]) -> None:
    reel = Reel(noise_frames(4, 32, 40))
    film = _film(reel)
    hidden = replace(film, bounds=tuple(dict.fromkeys(METHODS, (1e3, 2e3)) for _ in range(2)))  # heat 0 everywhere
    _draw(reel, hidden, [Video("a", "map", ShownMap(0, "gradcam"))], fill=fill)
    rows, columns = film.geometry.view_slices()
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


# ---- sheet


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (80, [5, 15, 25, 35, 45, 55, 65, 75]),
        (75, [4, 14, 23, 32, 42, 51, 60, 70]),
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (3, [0, 1, 2]),
        (1, [0]),
    ],
)
def test_stills_are_the_middles_of_eight_equal_parts(count: int, expected: list[int]) -> None:
    assert SHEET_COLUMNS == 8
    reel = Reel(noise_frames(count, 32, 40))
    film, sheet = _film(reel), SheetFrames([ShownMap(0, "gradcam"), ShownMap(1, "gradcam++")])
    _draw(reel, film, [], sheet=sheet)
    assert sheet.seconds == [index / 25 for index in expected]
    frames = [frame for _, frame in reel.frames()]
    np.testing.assert_array_equal(sheet.source, [frames[index] for index in expected])
    assert list(sheet.overlays) == list(sheet.maps)
    view = film.geometry.view_slices()
    for shown, overlays in sheet.overlays.items():
        for index, drawn in zip(expected, overlays, strict=True):
            heat = film.source_heat(shown.method, index / 25, target=shown.target).astype(np.float32)
            picture = outline(Overlay(colour_table()).blend(frames[index], heat, view), view)
            np.testing.assert_array_equal(drawn, picture)


def test_stills_of_large_frames_are_shrunk_by_whole_steps() -> None:
    frames = np.zeros((1, 500, 1000, 3), np.uint8)
    frames[:, ::2, ::2] = 100  # one pixel of four: their mean is 25
    reel, sheet = Reel(frames), SheetFrames([ShownMap(0, "gradcam")])
    _draw(reel, _film(reel), [], sheet=sheet)
    assert sheet.source[0].shape == sheet.overlays[ShownMap(0, "gradcam")][0].shape == (250, 500, 3)
    assert np.unique(sheet.source[0]).tolist() == [25]


def test_without_stills_none_are_kept(trays: Mapping[str, Tray]) -> None:
    reel = Reel(noise_frames(9, 32, 40))
    _draw(reel, _film(reel), VIDEOS[:1])
    assert len(trays) == 1


def test_the_first_frame_shows_the_map_of_the_moment_at_which_the_window_starts(trays: Mapping[str, Tray]) -> None:
    """The window starts while frame 2 is on display: before that moment no window looks, and the map would be blank."""
    reel = Reel(noise_frames(10, 32, 40))
    film, sheet = _film(reel, start=0.1), SheetFrames([ShownMap(0, "gradcam")])
    _draw(reel, film, [Video("a", "map", ShownMap(0, "gradcam"))], pts=reel.info.pts_seconds[2:], sheet=sheet)
    assert not film.source_heat("gradcam", 0.08).any()
    view = film.geometry.view_slices()
    frame = next(reel.frames_at(np.array([0.08])))[1]
    heat = film.source_heat("gradcam", 0.1).astype(np.float32)
    np.testing.assert_array_equal(trays["a"].frames[0], explanation_map(frame, heat, view))
    assert trays["a"].seconds == pytest.approx([index / 25 for index in range(8)])
    assert sheet.seconds == pytest.approx([0.1, *(index / 25 for index in range(3, 10))])


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


# ---- from end to end, decoded again


class SidesNet(nn.Module):
    """Channel k of the layer is the brightness of side k of the view; S_k is its sum, S_1 a tenth of it."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.relu = nn.AvgPool3d((4, 8, 8)), nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        brightness = self.pool(clip.mean(dim=1, keepdim=True))
        left = torch.arange(brightness.shape[-1]) < brightness.shape[-1] // 2
        sides = self.relu(torch.cat([brightness * left, 0.1 * brightness * ~left], dim=1))
        scores: Tensor = sides.sum(dim=(2, 3, 4))
        return scores


SIDES_SPEC = replace(BRIGHTNESS_SPEC, frames=8, fps=Fraction(25), crop_size=(64, 64))


def _sides(*labels: str) -> Model:
    return Model(SIDES_SPEC, SidesNet(), labels, "by hand")


def _explain(tmp_path: Path, frames: Frames, model: Model, **options: Any) -> ExplainedVideo:
    source = write_video(tmp_path / "film.mp4", frames)
    given = {"methods": ("gradcam",), "outputs": ("overlay",)} | options
    return explain_video(source, tmp_path / "out", model=model, options=ExplainOptions(**given))


def _decoded(path: Path) -> Frames:
    with open_video(path) as video:
        return np.stack([frame for _, frame in video.frames()])


def test_two_targets_have_two_overlays_each_on_its_own_scale(tmp_path: Path) -> None:
    frames = np.full((8, 64, 64, 3), 120, np.uint8)
    result = _explain(tmp_path, frames, _sides("left", "right"), targets=("left", "right"))
    by_name = {path.name: path for path in result.paths}
    for name, near, far in (("left", slice(4, 24), slice(44, 60)), ("right", slice(40, 60), slice(4, 20))):
        overlay = _decoded(by_name[f"film_{name}_gradcam.mp4"]).astype(int)
        changed = np.abs(overlay - 120).max(axis=3)
        assert changed[:, 4:-4, near].min() > 40, name
        assert changed[:, 4:-4, far].max() < 8, name
    scales = [entry["methods"]["gradcam"]["scale"] for entry in as_plain(result.document)["targets"]]
    assert scales[0] == pytest.approx([0.0, 120 / 255], rel=1e-3)
    assert scales[1] == pytest.approx([0.0, 12 / 255], rel=1e-3)
    assert [list(bounds["gradcam"]) for bounds in result.film.bounds] == scales


def test_labels_of_one_slug_have_files_of_their_own(tmp_path: Path) -> None:
    frames = np.full((8, 64, 64, 3), 120, np.uint8)
    model = _sides("Tap & dance", "tap/dance")
    result = _explain(tmp_path, frames, model, targets=(1, 0), outputs=("overlay", "map"))
    assert [path.name for path in result.paths] == [
        "film_tap-dance-1_gradcam.mp4",
        "film_tap-dance-1_gradcam_map.mp4",
        "film_tap-dance-0_gradcam.mp4",
        "film_tap-dance-0_gradcam_map.mp4",
        "film.json",
    ]
    right, left = (_decoded(result.paths[index]).astype(int) for index in (0, 2))
    assert np.abs(left[:, 4:-4, 4:20] - 120).max() > 40
    assert np.abs(right[:, 4:-4, 4:20] - 120).max() < 8
    alone = _explain(tmp_path, frames, model, targets=(1,), overwrite=True)
    assert alone.paths[0].name == "film_tap-dance_gradcam.mp4"


STRIPES = np.array([[40, 80, 120], [80, 120, 160]], np.uint8)
"""Colours of the ground's stripes, two pixels each: the same in every cell, (60, 100, 140) on average."""

GROUNDS: dict[str, tuple[float, float, float]] = {"black": (0, 0, 0), "mean": (200, 120, 30), "blur": (60, 100, 140)}


@pytest.mark.parametrize("fill", ["black", "mean", "blur", "frame-mean"])
def test_the_map_video_hides_with_the_fill(fill: Fill, tmp_path: Path) -> None:
    """A white square on stripes: the stripes have the least evidence, heat 0, and become the fill."""
    stripes = STRIPES[np.arange(96) // 2 % 2]  # (96, 3)
    frames = np.broadcast_to(stripes, (16, 96, 96, 3)).copy()
    frames[:, 42:66, 42:66] = 255
    scaling = Scaling(mean=(30.0, 120.0, 200.0), std=(255.0, 255.0, 255.0), channels="bgr")
    spec = replace(BRIGHTNESS_SPEC, scaling=scaling, frames=8, fps=Fraction(25))
    model = Model(spec, BrightnessNet(), ("Bright thing", "dark/thing"), "by hand")
    result = _explain(tmp_path, frames, model, fill=fill, outputs=("map",), targets=(0,))
    rows, columns = result.film.geometry.view_slices()
    ground = GROUNDS.get(fill, frames[0, rows, columns].reshape(-1, 3).mean(axis=0))
    heat = result.film.source_heat("gradcam", 0.2)
    hidden = np.zeros((96, 96), dtype=bool)
    hidden[rows, columns] = heat < 1e-3
    hidden[: rows.start + 8], hidden[rows.stop - 8 :], hidden[:, columns.stop - 8 :] = False, False, False
    hidden[:, : columns.start + 8] = False  # Gaussian blur and chroma reach over the view's border
    assert hidden.sum() > 200
    for frame in _decoded(result.paths[0]):
        assert np.abs(frame[hidden].mean(axis=0) - ground).max() < 6
        assert np.abs(frame[hidden].astype(float) - ground).max() < 20
        assert frame[50:58, 50:58].min() > 235  # heat 1 leaves the square as it is


def test_a_clip_that_starts_while_a_frame_is_on_display_is_scaled_from_its_start_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ground is bright throughout, so that the least evidence is far above 0; no blank moment pulls it down."""
    frames = np.full((60, 64, 64, 3), 100, np.uint8)
    frames[:, 20:40, 20:40] = 250
    given: list[Seconds] = []

    def contact_sheet(film: Film, frames: SheetFrames, pts_seconds: Seconds, **_: object) -> bytes:
        given.append(pts_seconds)
        return b""

    monkeypatch.setattr("vidcam.pipelines.explain.result.contact_sheet", contact_sheet)
    options = {"clip_start_seconds": 0.815, "outputs": ("sheet", "data"), "targets": (0,)}
    result = _explain(tmp_path, frames, brightness_model(), **options)
    low, high = result.film.bounds[0]["gradcam"]
    assert low == pytest.approx(100 / 255, rel=1e-3)
    assert high > low
    assert given[0][:2].tolist() == pytest.approx([0.815, 0.84])
    assert result.film.evidence("gradcam", given[0]).min() > 0
    assert load_film(tmp_path / "out" / "film.npz").bounds == result.film.bounds
    document = json.loads((tmp_path / "out" / "film.json").read_text())
    assert document["targets"][0]["methods"]["gradcam"]["scale"] == [low, high]
