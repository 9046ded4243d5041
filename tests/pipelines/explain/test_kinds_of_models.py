"""The pipeline with other networks than 3-D CNNs with logits: transformers, image networks, probabilities."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.helpers.loading import load_video
from tests.helpers.nets import (
    BRIGHTNESS_SPEC,
    ArrangedNet,
    BrightnessNet,
    PooledHead,
    bright_image_model,
    pooled_model,
    seeded,
)
from tests.helpers.videos import flat_frames, write_video
from tests.pipelines.conftest import VideoMaker, moving_square
from vidcam.cam.reshape import reshape_of
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer, explain_video
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.layers import layer_rows
from vidcam.spec import Layout, TokenGrid
from vidcam.system.json_files import as_plain

HERE = "tests.pipelines.explain.test_kinds_of_models"
METHODS = ("gradcam", "gradcam+", "gradcam++")
LABELS = ("Bright thing", "dark/thing")
LAYOUTS: dict[str, tuple[tuple[int, int, int], Layout]] = {
    "tokens": ((4, 8, 8), TokenGrid((4, 7, 7))),
    "channels-last": ((4, 8, 8), "channels-last"),
    "frames": ((1, 8, 8), "frames"),  # a cell is one frame: 16 maps a window
}


def arranged(kind: str, *, layer: str | None = "arrange") -> Model:
    cell, layout = LAYOUTS[kind]
    spec = replace(BRIGHTNESS_SPEC, name=kind, layer=layer, layout=layout)
    return Model(spec, ArrangedNet(kind, cell), LABELS, "by hand")


def tokens_factory() -> Model:
    return arranged("tokens", layer=None)


def explained(video: Path, out: Path, model: Model, **options: object) -> ExplainedVideo:
    return explain_video(video, out, model=model, methods=METHODS, outputs=("data",), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_all_layouts_of_a_layer_give_the_same_maps(kind: str, make_video: VideoMaker, tmp_path: Path) -> None:
    source = make_video()
    plain = Model(BRIGHTNESS_SPEC, BrightnessNet(LAYOUTS[kind][0]), LABELS, "by hand")
    one = explained(source, tmp_path / "plain", plain)
    for layer in ("arrange", None):
        other = explained(source, tmp_path / f"{kind}-{layer}", arranged(kind, layer=layer))
        for method in METHODS:
            expected = one.explanation.explanations[0].volumes[method]
            np.testing.assert_allclose(other.explanation.explanations[0].volumes[method], expected, rtol=1e-6)
        assert as_plain(other.document)["artifact"] == as_plain(one.document)["artifact"]
        figures, same = (as_plain(result.document)["targets"][0]["methods"]["gradcam"] for result in (other, one))
        checks, expected_checks = (
            {name: value for name, value in entry["verdict"]["checks"].items() if value is not None}
            for entry in (figures, same)
        )
        assert checks == pytest.approx(expected_checks, rel=1e-4)
        assert as_plain(other.document)["model"]["layer"] == "arrange"


def test_layers_are_listed_through_the_layout() -> None:
    (row,) = [row for row in layer_rows(f"{HERE}:tokens_factory", every=True) if row["layer"] == "arrange"]
    assert (row["grid"], row["default"]) == ([4, 7, 7], True)


def test_reshape_of_a_spec() -> None:
    assert reshape_of(BRIGHTNESS_SPEC) is None
    twofold = replace(BRIGHTNESS_SPEC, layout=(TokenGrid((2, 3), class_tokens=0), "frames"))
    reshape = reshape_of(twofold)
    assert reshape is not None
    assert reshape(torch.zeros(32, 6, 5)).shape == (2, 5, 16, 2, 3)


class EndsIn(BrightnessNet):
    """`BrightnessNet` with smaller scores, and a final activation or none."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end = end

    def forward(self, clip: Tensor) -> Tensor:
        scores = super().forward(clip) / 50
        return scores if self.end == "logits" else scores.softmax(dim=1) if self.end == "softmax" else scores.sigmoid()


@pytest.mark.parametrize(
    ("end", "stated", "activation"),
    [
        ("logits", None, "softmax"),
        ("logits", "sigmoid", "sigmoid"),
        ("softmax", None, "softmax"),
        ("sigmoid", None, "sigmoid"),
        ("sigmoid", "sigmoid", "sigmoid"),
    ],
)
def test_the_activation_after_the_logits(
    end: str, stated: object, activation: str, make_video: VideoMaker, tmp_path: Path
) -> None:
    spec = replace(BRIGHTNESS_SPEC, activation=stated)  # type: ignore[arg-type]
    source = make_video()
    bare = explained(source, tmp_path / "bare", Model(BRIGHTNESS_SPEC, EndsIn("logits"), LABELS, "by hand"))
    result = explained(source, tmp_path / "out", Model(spec, EndsIn(end), LABELS, "by hand"))
    explanation = result.explanation.explanations[0]
    assert explanation.activation == activation
    np.testing.assert_allclose(explanation.logits, bare.explanation.explanations[0].logits, rtol=1e-6)
    np.testing.assert_allclose(
        explanation.volumes["gradcam"], bare.explanation.explanations[0].volumes["gradcam"], rtol=1e-6
    )
    score = explanation.logits[:, 0].astype(np.float64)
    by_hand = 1 / (1 + np.exp(-score * (2 if activation == "softmax" else 1)))  # the other class has -score
    assert result.top5[0][1] == pytest.approx(by_hand.mean())
    assert as_plain(result.document)["targets"][0]["probability"] == pytest.approx(by_hand.mean())
    assert load_video(tmp_path / "out" / "video.npz").explanations[0].activation == activation


class Guided(nn.Module):
    """A ReLU and one linear layer: enough for guided backpropagation."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool3d((4, 8, 8))

    def forward(self, clip: Tensor) -> Tensor:
        total = self.pool(self.relu(clip)).flatten(1).sum(dim=1) / 1000
        return torch.stack([total, -total], dim=1)


def test_a_guided_map_of_a_multi_label_network(make_video: VideoMaker, tmp_path: Path) -> None:
    """With --score probability the gradient has the factor of the sigmoid, not of the softmax."""
    scale = {}
    for activation in ("softmax", "sigmoid"):
        spec = replace(BRIGHTNESS_SPEC, layer="pool", activation=activation)
        options = ExplainOptions(methods=("guided-gradcam",), score="probability", outputs=("overlay",))
        result = Explainer(Model(spec, Guided(), LABELS, "x"), options).explain(make_video(), tmp_path / activation)
        scale[activation] = result.explanation.explanations[0].probability
        assert result.explanation.explanations[0].activation == activation
    assert (scale["softmax"] > scale["sigmoid"]).all()


def pictures(folder: Path, count: int = 4) -> Path:
    frames, _ = moving_square(count, 96, 128)
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index}.png")
    return folder


def test_an_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    options = ExplainOptions(methods=METHODS, outputs=("overlay", "sheet", "data"))
    result = Explainer(bright_image_model(), options).explain(folder / "1.png", tmp_path / "out")
    assert [path.name for path in result.paths] == [
        *(f"1_bright-thing_{method}.mp4" for method in METHODS),
        "1.png",
        "1.npz",
        "1_evidence.csv",
        "1.json",
    ]
    explanation = result.explanation.explanations[0]
    assert explanation.volumes["gradcam++"].shape == (1, 1, 7, 7)
    assert explanation.input_size == (1, 56, 56)
    assert load_video(tmp_path / "out" / "1.npz").heat("gradcam", np.array([0.0])).shape == (1, 56, 56)


def test_each_image_of_a_folder_has_a_map_of_its_own(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    model = bright_image_model()
    whole = explain_video(folder, tmp_path / "out", model=model, methods=METHODS)
    video = whole.explanation
    assert video.timeline.starts.tolist() == video.timeline.frame_seconds[:, 0].tolist() == [0.0, 0.04, 0.08, 0.12]
    for index in range(4):
        alone = explain_video(folder / f"{index}.png", tmp_path / f"{index}", model=model, methods=METHODS)
        for method in METHODS:
            raw = alone.explanation.explanations[0].volumes[method][0]
            moments = 0.04 * index + np.array([0.0, 0.02, 0.039])
            np.testing.assert_allclose(video.raw(method, moments), np.concatenate([raw] * 3), rtol=1e-5)


def test_an_image_network_reads_a_video_at_the_rate_of_its_spec(tmp_path: Path) -> None:
    """25 frames of growing brightness, five windows per second: each moment has the map of the nearest window."""
    frames = flat_frames(np.arange(10, 260, 10)[:25].tolist(), 64, 64)
    source = write_video(tmp_path / "video.mp4", frames, fps=Fraction(25), codec="libx264rgb", pixel_format="rgb24")
    result = explained(source, tmp_path / "out", bright_image_model())
    looks = result.explanation.timeline
    assert (looks.frame_seconds[:, 0] * 25).round().tolist() == [2, 7, 12, 17, 22]
    np.testing.assert_allclose(looks.starts, [0, 0.2, 0.4, 0.6, 0.8])
    raw = result.explanation.raw("gradcam", np.arange(25) / 25)[:, 0, 0]
    np.testing.assert_allclose(raw / raw[2], np.repeat([3, 8, 13, 18, 23], 5) / 3, rtol=1e-5)


def test_a_moment_is_the_frame_displayed_at_that_time(tmp_path: Path) -> None:
    frames = flat_frames(np.arange(10, 260, 10)[:25].tolist(), 64, 64)
    source = write_video(tmp_path / "video.mp4", frames, fps=Fraction(25), codec="libx264rgb", pixel_format="rgb24")
    result = explained(source, tmp_path / "out", bright_image_model(), at=0.4)
    assert result.explanation.timeline.frame_seconds.tolist() == [[0.4]]


def test_the_layers_of_an_image_network_keep_their_names() -> None:
    rows = layer_rows("tests.helpers.nets:bright_image_model")
    assert [(row["layer"], row["grid"], row["stride_frames"]) for row in rows] == [
        ("pool", [1, 7, 7], 1.0),
        ("relu", [1, 7, 7], 1.0),
    ]


class _Branches(nn.Module):
    """Two networks whose scores are added."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = seeded(PooledHead), seeded(PooledHead, 1)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.one(clip) + self.two(clip)
        return scores


@pytest.mark.parametrize(
    ("layer", "fusion"), [(None, "sum"), (("one.block2", "two.block2"), "mean")], ids=["default", "named"]
)
def test_parallel_branches_are_added(
    make_video: VideoMaker, tmp_path: Path, layer: tuple[str, ...] | None, fusion: str
) -> None:
    model = replace(pooled_model(), module=_Branches().eval())
    options = ExplainOptions(methods=("gradcam",), outputs=("data",), layer=layer)
    document = Explainer(model, options).explain(make_video(count=20), tmp_path / "out").document
    assert (document.model.layer, document.fusion) == ("one.block2 + two.block2", fusion)
