"""Models whose clips are not (N, 3, T, H, W): the same video, prediction and scores as of the inner network."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.clipsets import write_set
from tests.helpers.nets import pooled_model, seeded
from tests.pipelines.conftest import VideoMaker
from vidcam.axes import Axes
from vidcam.cli.app import main
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.layers import layer_rows
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.preprocess import grey_input
from vidcam.system.json_files import as_plain

HERE = "tests.pipelines.test_axes"
ORDERS = ("NTCHW", "NTHWC", "N(TC)HW", "(NT)CHW")
METHODS = ("gradcam", "gradcam++", "neutral-gradcam", "guided-gradcam")
DATA = ("--outputs", "data")


class Takes(nn.Module):
    """The layers of a network for (N, 3, T, H, W), behind an input in another order."""

    def __init__(self, net: nn.Module, axes: Axes) -> None:
        super().__init__()
        for name, child in net.named_children():
            self.add_module(name, child)
        self.net, self.axes = [net], axes  # in a list, which hides it from torch: the names stay the same

    def forward(self, clip: Tensor) -> Tensor:
        assert clip.is_contiguous()
        scores: Tensor = self.net[0](self.axes.view(clip).contiguous())
        return scores


def model(order: str | None) -> Model:
    plain = pooled_model()
    plain = replace(plain, spec=replace(plain.spec, layer="block2"))
    if order is None:
        return plain
    return replace(plain, spec=replace(plain.spec, axes=order), module=Takes(plain.module, Axes(order, 8)).eval())


def factory() -> Model:
    return replace(model("NTHWC"), spec=replace(model("NTHWC").spec, layer=None))


class Frames(nn.Module):
    """A 2-D network of single frames (N·8, 3, H, W), or of clips that it folds itself, and the mean of its scores."""

    def __init__(self, *, folds: bool) -> None:
        super().__init__()
        self.folds = folds
        self.conv, self.relu, self.fc = nn.Conv2d(3, 6, 4, stride=4), nn.ReLU(), nn.Linear(6, 4)

    def forward(self, clip: Tensor) -> Tensor:
        rows = clip.transpose(1, 2).flatten(0, 1) if self.folds else clip
        scores: Tensor = self.fc(self.relu(self.conv(rows)).mean((2, 3))).unflatten(0, (-1, 8)).mean(1)
        return scores


def frames_model(*, folds: bool, axes: str | None = None, layout: Literal["frames"] | None = None) -> Model:
    plain = pooled_model()
    spec = replace(plain.spec, axes=axes, layout=layout)
    return replace(plain, spec=spec, module=seeded(Frames, folds=folds).eval())


def frames_factory() -> Model:
    return frames_model(folds=False, axes="(NT)CHW")


def without_run(document: dict[str, Any]) -> dict[str, Any]:
    """What a run found, without its times, files and the model's own entry."""
    return {name: value for name, value in document.items() if name not in ("runtime", "model", "settings", "outputs")}


@pytest.mark.parametrize(
    ("order", "options"), [*((order, {}) for order in ORDERS), ("NTCHW", {"view": "three-crop", "fill": "blur"})]
)
def test_a_video_is_explained_the_same(
    order: str, options: dict[str, Any], make_video: VideoMaker, tmp_path: Path
) -> None:
    source = make_video(count=40)
    methods = METHODS if not options else METHODS[:3]
    results = [
        explain_video(source, tmp_path / name, model=model(axes), methods=methods, outputs=("data",), **options)
        for name, axes in (("plain", None), ("other", order))
    ]
    one, other = (json.loads(next((tmp_path / name).glob("*.json")).read_text()) for name in ("plain", "other"))
    assert without_run(one) == without_run(other)
    for method in methods[:3]:
        plain, volumes = (result.explanation.explanations[0].volumes[method] for result in results)
        np.testing.assert_array_equal(plain, volumes)


def test_a_prediction_and_guided_overlays(make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video()
    for name, order in (("plain", None), ("other", "NTCHW")):
        out, chosen = tmp_path / name, model(order)
        explain_video(source, out, model=chosen, methods="guided-gradcam", targets="above:0.9", outputs="overlay")
    (one,), (other,) = ([*(tmp_path / name).glob("*guided*.mp4")] for name in ("plain", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_a_set_is_scored_the_same(tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "set", 2)
    options = ScoreOptions(methods=("gradcam", "neutral-gradcam"), measures="all", sanity=1)
    rows = []
    for name, axes in (("plain", None), ("other", "(NT)CHW")):
        score_set(manifest, tmp_path / name, options, model=model(axes))
        with (tmp_path / name / "scores.csv").open(newline="") as file:
            rows.append([*csv.DictReader(file)])
    assert len(rows[0]) == 2 * 6
    assert rows[0] == rows[1]


def test_layers_are_listed_on_the_canonical_axes() -> None:
    (row,) = [row for row in layer_rows(f"{HERE}:factory") if row["default"]]
    assert (row["layer"], row["grid"], row["stride_frames"]) == ("block2", [4, 16, 16], 2.0)


def test_layers_of_folded_frames_are_listed_with_time() -> None:
    (row,) = [row for row in layer_rows(f"{HERE}:frames_factory") if row["default"]]
    assert (row["layer"], row["grid"]) == ("relu", [8, 8, 8])
    assert (row["stride_frames"], row["stride_pixels"]) == (1.0, [4.0, 4.0])


@pytest.mark.parametrize("layout", [None, "frames"])
def test_folded_frames_are_explained_with_time(
    layout: Literal["frames"] | None, make_video: VideoMaker, tmp_path: Path
) -> None:
    source = make_video()
    models = frames_model(folds=True, layout="frames"), frames_model(folds=False, axes="(NT)CHW", layout=layout)
    one, other = (
        explain_video(source, tmp_path / str(index), model=each, methods=METHODS[:3], outputs=("data",))
        for index, each in enumerate(models)
    )
    for method in METHODS[:3]:
        volumes = one.explanation.explanations[0].volumes[method]
        assert volumes.shape[1:] == (8, 8, 8)
        np.testing.assert_array_equal(volumes, other.explanation.explanations[0].volumes[method])


@pytest.mark.parametrize("order", ORDERS)
def test_vidcam_explain_takes_the_clip_as_the_model_does(order: str) -> None:
    plain, other = model(None), model(order)
    pixels = torch.rand(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    one = vidcam.explain(plain, pixels, methods=METHODS)
    two = vidcam.explain(other, other.input_of(pixels), methods=METHODS)
    assert grey_input(other.spec).shape == other.input_of(pixels[:1]).shape
    assert one.frames is not None
    assert two.frames is not None
    np.testing.assert_array_equal(one.frames, two.frames)
    np.testing.assert_array_equal(one.guided["guided-gradcam"], two.guided["guided-gradcam"])
    for method in METHODS[:3]:
        np.testing.assert_array_equal(one.heat(method), two.heat(method))
    with pytest.raises(vidcam.VidcamError, match=r"NTCHW"):
        vidcam.explain(model("NTCHW"), pixels)


def silent_factory() -> Model:
    """Takes (N, T, H, W, 3), but its spec does not say so."""
    return replace(model("NTHWC"), spec=replace(model("NTHWC").spec, axes=None))


def test_the_command_line_names_the_axes(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, own = make_video(count=40), f"{HERE}:silent_factory"
    named = tmp_path / "named"
    assert main(["explain", str(source), "-o", str(named), "--model", own, "--axes", "NTHWC", *DATA]) == 0
    plain = explain_video(source, tmp_path / "plain", model=model(None), outputs="data").document
    found = json.loads((named / "video.json").read_text("utf-8"))
    assert found["top5"] == as_plain(plain)["top5"]
    assert 'axes = "NTHWC"' in (named / "video.toml").read_text("utf-8")
    again = tmp_path / "again"
    assert main(["explain", str(source), "-o", str(again), "--config", str(named / "video.toml")]) == 0
    assert json.loads((again / "video.json").read_text("utf-8"))["top5"] == found["top5"]
    assert main(["explain", str(source), "-o", str(tmp_path / "bad"), "--model", own, "--axes", "NTHWX"]) != 0
    assert "axes is 'NTHWX'; name N, C, T, H and W in their order" in capsys.readouterr().err
    rows = score_set(
        [source], tmp_path / "scores", ScoreOptions(methods="gradcam", axes="NTHWC"), model=silent_factory()
    )
    same = score_set([source], tmp_path / "same", ScoreOptions(methods="gradcam"), model=model(None))
    assert rows.summary.methods == same.summary.methods
