"""Captions through the pipeline: one map a word, in the JSON and in the file, with a network of known words."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import BRIGHTNESS_SPEC, brightness_model
from tests.pipelines.explain.conftest import read_document
from vidcam.errors import InputError
from vidcam.media import Frames
from vidcam.models.captioner import Captioner
from vidcam.models.model import Model
from vidcam.pipelines.explain.captions import caption_labels
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.predict import Predictor
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.explain.verdicts import WORD
from vidcam.results.io import load
from vidcam.results.video import VideoExplanation

WORDS = ("<end>", "left", "right")


class Sides(Captioner):
    """Says which half is brighter. The logit of `left` at every place is the brightness of the left half."""

    end = 0

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.relu = nn.AvgPool3d((4, 8, 8)), nn.ReLU()

    def encode(self, clip: Tensor) -> Tensor:
        brightness = self.relu(self.pool(clip.mean(dim=1, keepdim=True)))[:, 0]
        middle = brightness.shape[-1] // 2
        halves = [half.flatten(1).mean(dim=1) for half in (brightness[..., :middle], brightness[..., middle:])]
        return torch.stack([torch.zeros_like(halves[0]), *halves], dim=1)

    def scores(self, encoded: Tensor, tokens: Tensor) -> Tensor:
        return encoded[:, None].expand(-1, tokens.shape[1], -1)

    def decode(self, encoded: Tensor) -> Tensor:
        word = encoded.argmax(dim=1)
        return torch.stack([word, torch.zeros_like(word)], dim=1)


@pytest.fixture
def model() -> Model:
    """The captioner, with words."""
    return Model(replace(BRIGHTNESS_SPEC, name="sides", classes=3, layer="relu"), Sides(), WORDS, "by hand")


@pytest.fixture
def frames() -> Frames:
    """The left half is bright, the right one a little less."""
    height, width = BRIGHTNESS_SPEC.crop_size
    picture = np.full((BRIGHTNESS_SPEC.frames, height, width, 3), 130, np.uint8)
    picture[:, :, : width // 2] = 240
    return picture


def test_each_word_has_a_map_of_its_own(model: Model, frames: Frames, tmp_path: Path) -> None:
    result = explain_video(
        frames, tmp_path, model=model, caption=["left right", "right"], methods="hirescam", outputs=("data",)
    )
    explanation = cast("VideoExplanation", load(next(tmp_path.glob("*.npz"))))
    assert explanation.labels == ("left right", "1.1 left", "1.2 right", "right", "2.1 right")
    assert [(caption.words, caption.target) for caption in explanation.captions] == [
        (("left", "right"), 0),
        (("right",), 3),
    ]
    volumes = [each.volumes["hirescam"][0] for each in explanation.explanations]
    middle = volumes[0].shape[-1] // 2
    assert volumes[1][..., :middle].min() > 0.0 == volumes[1][..., middle:].max()
    assert volumes[2][..., middle:].min() > 0.0 == volumes[2][..., :middle].max()
    assert np.allclose(volumes[2], volumes[4])
    assert explanation.main_targets == (0, 3)
    assert result.explanation.captions == explanation.captions


def test_probabilities_are_those_of_the_words(model: Model, frames: Frames, tmp_path: Path) -> None:
    result = explain_video(frames, tmp_path, model=model, caption="left right", methods="gradcam", outputs=("data",))
    document = read_document(result.paths[-1])
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float()
    scaled = (clip - model.spec.scaling.mean[0]) / model.spec.scaling.std[0]  # type: ignore[index]
    module = cast("Sides", model.module)
    left, right = module.encode(scaled).softmax(dim=1)[0, 1:].tolist()
    assert document["captions"] == [
        {"words": ["left", "right"], "target": 0, "probabilities": pytest.approx([left, right], rel=1e-5)}
    ]
    assert [each["probability"] for each in document["targets"]] == pytest.approx([left * right, left, right], rel=1e-5)
    assert [each["index"] for each in document["targets"]] == [0, None, None]
    assert document["top5"][0]["label"] == "left right"
    whole, word, _ = (each["methods"]["gradcam"]["verdict"] for each in document["targets"])
    assert whole["checks"]["confidence"] == pytest.approx((left * right) ** 0.5, rel=1e-5)
    assert (word["word"], word["reason"]) == ("not checked", WORD.reason)


def test_a_caption_is_judged_by_what_is_kept_of_its_words(model: Model, frames: Frames, tmp_path: Path) -> None:
    frames = frames.copy()
    frames[:, :, frames.shape[2] // 2 :] = 0
    explained = partial(explain_video, frames, model=model, methods=("hirescam", "gradcam"), outputs=("data",))
    judged = explained(tmp_path / "a", caption=("left", "left left"), verdict_forwards=40).explanation.verdicts
    checks = judged[0]["hirescam"].checks
    assert checks["kept"] == pytest.approx(1.0, abs=1e-3)
    assert 0.1 < (checks["kept_random"] or 0.0) < 0.99
    assert (checks["mirror"], checks["class_change"]) == (None, None)
    assert judged[2]["hirescam"].checks == pytest.approx(checks)
    assert judged[2]["hirescam"].word in {"reliable", "doubtful"}
    unchecked = explained(tmp_path / "b", caption="left", verdict_forwards=0).explanation
    assert {verdict.word for each in unchecked.verdicts for verdict in each.values()} == {"not checked"}


def test_what_is_kept_of_a_caption_is_counted_as_the_whole_in_three_crops(model: Model, tmp_path: Path) -> None:
    """The mean over the crops first, then that over the words: of a still video all is kept."""
    height, width = BRIGHTNESS_SPEC.crop_size
    frames = np.zeros((BRIGHTNESS_SPEC.frames, height, 2 * width, 3), np.uint8)
    frames[:, :, : width // 2] = 240
    explained = explain_video(
        frames, tmp_path, model=model, caption="left left", view="three-crop", methods="gradcam", outputs=("data",)
    )
    verdict = explained.explanation.video_verdict
    assert verdict is not None
    assert verdict.motion["frozen"] == pytest.approx(1.0, abs=1e-5)


def test_without_a_caption_the_model_says_one(model: Model, frames: Frames, tmp_path: Path) -> None:
    for out, caption in (("said", "generated"), ("default", ())):
        result = explain_video(frames, tmp_path / out, model=model, caption=caption, outputs=("data",))
        assert result.explanation.labels == ("left", "1 left")
    mirrored = explain_video(frames[:, :, ::-1], tmp_path / "mirrored", model=model, outputs=("data",))
    assert mirrored.explanation.labels == ("right", "1 right")


def test_words_have_no_videos_and_no_rows(model: Model, frames: Frames, tmp_path: Path) -> None:
    result = explain_video(frames, tmp_path, model=model, caption="left right", methods="gradcam")
    assert sorted(path.name for path in result.paths if path.suffix == ".mp4") == ["video_left-right_gradcam.mp4"]
    assert [line.split(":")[0] for line in result.verdicts[:-1]] == ["gradcam"]
    assert "the mean probability of its words is 100 %" in result.verdicts[-1]
    page = next(path for path in result.paths if path.suffix == ".html").read_text("utf-8")
    assert '"words":["left","right"]' in page.replace("\n", "").replace(" ", "")


def test_labels_tell_captions_apart() -> None:
    assert caption_labels(["a b"]) == ("a b", "1 a", "2 b")
    assert caption_labels(["a", "b"]) == ("a", "1.1 a", "b", "2.1 b")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"caption": "left", "targets": "right"}, "--target"),
        ({"caption": "left", "contrast": "right"}, "--contrast"),
        ({"caption": "left", "score": "probability"}, "--score"),
        ({"caption": ("left", "generated")}, "generated"),
        ({"caption": "up"}, "up"),
    ],
)
def test_what_does_not_fit_is_refused(
    model: Model, frames: Frames, tmp_path: Path, options: dict[str, object], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        explain_video(frames, tmp_path, model=model, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_other_models_take_no_caption(frames: Frames, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="captioner"):
        explain_video(frames, tmp_path, model=brightness_model(), caption="left")


def test_a_prediction_needs_classes(model: Model) -> None:
    with pytest.raises(InputError, match="captions"):
        Predictor(model, ExplainOptions())
