"""The videos of `explain`, checked after decoding: scales, labels, the fill, a start between two frames."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.loading import load_video
from tests.helpers.nets import BRIGHTNESS_SPEC, BrightnessNet, brightness_model
from tests.helpers.videos import Frames, write_video
from vidcam.fill import Fill
from vidcam.media import Seconds
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import ExplainedVideo, explain_video
from vidcam.pipelines.render.sheet import SheetFrames
from vidcam.results.video import VideoExplanation
from vidcam.spec import Scaling
from vidcam.system.json_files import as_plain
from vidcam.video.reader import open_video


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
    source = write_video(tmp_path / "video.mp4", frames)
    given = {"methods": ("gradcam",), "outputs": ("overlay",)} | options
    return explain_video(source, tmp_path / "out", model=model, **given)


def _decoded(path: Path) -> Frames:
    with open_video(path) as video:
        return np.stack([frame for _, frame in video.frames()])


def test_two_targets_have_two_overlays_on_one_scale(tmp_path: Path) -> None:
    """The right side has a tenth of the left side's evidence, so it is drawn as one tenth."""
    frames = np.full((8, 64, 64, 3), 120, np.uint8)
    result = _explain(tmp_path, frames, _sides("left", "right"), targets=("left", "right"))
    by_name = {path.name: path for path in result.paths}
    changes = {}
    for name, near, far in (("left", slice(4, 24), slice(44, 60)), ("right", slice(40, 60), slice(4, 20))):
        overlay = _decoded(by_name[f"video_{name}_gradcam.mp4"]).astype(int)
        changed = np.abs(overlay - 120).max(axis=3)
        changes[name] = int(changed[:, 4:-4, near].min())
        assert changed[:, 4:-4, far].max() < 8, name
    assert changes["left"] > 40
    assert changes["right"] < changes["left"] / 2
    scales = [entry["methods"]["gradcam"]["scale"] for entry in as_plain(result.document)["targets"]]
    assert scales[0] == scales[1] == list(result.explanation.bounds["gradcam"])
    assert scales[0] == pytest.approx([0.0, 120 / 255], rel=1e-3)
    heats = [result.explanation.heat("gradcam", np.array([0.1]), target=target).max() for target in (0, 1)]
    assert heats == pytest.approx([1.0, 0.1], rel=1e-3)


def test_the_scale_by_window_is_in_the_data(tmp_path: Path) -> None:
    """The picture darkens: on the video's scale, so does the evidence; by window each window has its own 1."""
    values = np.linspace(240, 60, 40).astype(np.uint8)
    frames = np.broadcast_to(values[:, None, None, None], (40, 64, 64, 3)).copy()
    options = {"targets": ("left",), "outputs": ("data",), "overwrite": True}
    lasts = {}
    for scale in ("video", "window"):
        result = _explain(tmp_path, frames, _sides("left", "right"), scale=scale, **options)
        assert result.document.scale == result.explanation.scale == scale
        assert load_video(tmp_path / "out" / "video.npz").scale == scale
        lasts[scale] = float(result.explanation.heat("gradcam", np.array([1.3])).max())
    assert lasts["video"] < 0.5
    assert lasts["window"] > 0.7


def test_labels_of_one_slug_have_files_of_their_own(tmp_path: Path) -> None:
    frames = np.full((8, 64, 64, 3), 120, np.uint8)
    model = _sides("Tap & dance", "tap/dance")
    result = _explain(tmp_path, frames, model, targets=(1, 0), outputs=("overlay", "map"))
    assert [path.name for path in result.paths] == [
        "video_tap-dance-1_gradcam.mp4",
        "video_tap-dance-1_gradcam_map.mp4",
        "video_tap-dance-0_gradcam.mp4",
        "video_tap-dance-0_gradcam_map.mp4",
        "video.json",
    ]
    right, left = (_decoded(result.paths[index]).astype(int) for index in (0, 2))
    assert np.abs(left[:, 4:-4, 4:20] - 120).max() > 40
    assert np.abs(right[:, 4:-4, 4:20] - 120).max() < 8
    alone = _explain(tmp_path, frames, model, targets=(1,), overwrite=True)
    assert alone.paths[0].name == "video_tap-dance_gradcam.mp4"


def test_a_contrast_class_is_in_the_name_and_a_margin_has_room_below_the_frame(tmp_path: Path) -> None:
    frames = np.full((8, 63, 180, 3), 120, np.uint8)
    model = _sides("left", "right")
    wanted: dict[str, Any] = {"targets": ("left",), "contrast": "right", "outputs": ("overlay", "map")}
    result = _explain(tmp_path, frames, model, captions="margin", **wanted)
    names = ["video_left-vs-right_gradcam.mp4", "video_left-vs-right_gradcam_map.mp4", "video.json"]
    assert [path.name for path in result.paths] == names
    entry = result.document.targets[0].methods["gradcam"]
    assert [entry.overlay, entry.map] == names[:2]
    shape = _decoded(result.paths[0]).shape
    bare = _explain(tmp_path, frames, model, captions="none", overwrite=True, **wanted)
    assert shape[1] > _decoded(bare.paths[0]).shape[1]
    assert shape[1] % 2 == 0
    assert [path.name for path in bare.paths] == names
    assert result.warnings == bare.warnings == []


def test_a_frame_without_room_for_captions_gets_a_warning(tmp_path: Path) -> None:
    result = _explain(tmp_path, np.full((8, 64, 64, 3), 120, np.uint8), _sides("left", "right"))
    assert result.warnings == ["frames of 64 × 64 are too small for captions"]


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
    rows, columns = result.explanation.geometry.view_slices()
    ground = GROUNDS.get(fill, frames[0, rows, columns].reshape(-1, 3).mean(axis=0))
    heat = result.explanation.source_heat("gradcam", 0.2)
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
    """The background is bright, so that the smallest evidence is far above 0."""
    frames = np.full((60, 64, 64, 3), 100, np.uint8)
    frames[:, 20:40, 20:40] = 250
    given: list[Seconds] = []

    def contact_sheet(video: VideoExplanation, frames: SheetFrames, pts_seconds: Seconds, **_: object) -> bytes:
        given.append(pts_seconds)
        return b""

    monkeypatch.setattr("vidcam.pipelines.explain.result.contact_sheet", contact_sheet)
    options = {"at": 0.815, "outputs": ("sheet", "data"), "targets": (0,)}
    result = _explain(tmp_path, frames, brightness_model(), **options)
    low, high = result.explanation.bounds["gradcam"]
    assert low == pytest.approx(100 / 255, rel=1e-3)
    assert high > low
    assert given[0][:2].tolist() == pytest.approx([0.815, 0.84])
    assert result.explanation.evidence("gradcam", given[0]).min() > 0
    assert load_video(tmp_path / "out" / "video.npz").bounds == result.explanation.bounds
    document = json.loads((tmp_path / "out" / "video.json").read_text())
    assert document["targets"][0]["methods"]["gradcam"]["scale"] == [low, high]
