"""A model that returns values, as of a regression: its videos are explained, and no probability is told anywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vidcam
from tests.helpers.nets import PooledHead, pooled_model, seeded
from tests.pipelines.conftest import VideoMaker
from vidcam.errors import InputError
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.predict import Predictor
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.request import resolve

LABELS = ("age", "height", "weight")


def value_model(labels: tuple[str, ...] = LABELS) -> Model:
    """A network with one value or several; the last is the highest."""
    spec = replace(pooled_model().spec, name="values", classes=len(labels), activation="none", layer="block2")
    module = seeded(PooledHead, classes=len(labels)).eval()
    with torch.no_grad():
        module.get_submodule("fc").bias.copy_(torch.arange(1, len(labels) + 1) * 7.0)  # type: ignore[operator]
    return Model(spec, module, labels, "random (seed 0)")


def _numbers(value: Any, key: str) -> list[Any]:
    """All values of the keys that contain a word."""
    if isinstance(value, dict):
        own = [each for name, each in value.items() if key in name and not isinstance(each, dict | list)]
        return own + [found for each in value.values() for found in _numbers(each, key)]
    return [found for each in value for found in _numbers(each, key)] if isinstance(value, list) else []


@pytest.mark.parametrize("labels", [LABELS, LABELS[:1]])
@pytest.mark.parametrize("view", ["centre", "three-crop"])
def test_a_video_has_null_where_others_have_probabilities(
    labels: tuple[str, ...], view: Any, make_video: VideoMaker, tmp_path: Path
) -> None:
    options = ExplainOptions(outputs=("overlay", "sheet", "data"), view=view, methods=("gradcam",))
    result = Explainer(value_model(labels), options).explain(make_video(count=40), tmp_path / "out")
    document = json.loads(result.paths[-1].read_text())
    assert set(_numbers(document, "probability")) == {None}
    assert _numbers(document, "saturated") == [None]
    assert [entry["label"] for entry in document["top5"]] == list(reversed(labels))
    assert document["targets"][0]["label"] == labels[-1]
    assert document["targets"][0]["methods"]["gradcam"]["verdict"]["word"] == "not checked"
    assert "probability" not in (tmp_path / "out" / "video_evidence.csv").read_text()
    assert result.top5[0] == (labels[-1], None)
    assert labels[-1] in repr(result)
    saved = vidcam.load(tmp_path / "out" / "video.npz")
    first = saved.explanations[0]  # type: ignore[union-attr]
    assert first.activation == "none"
    assert np.isnan(first.probability).all()
    assert abs(first.logits[:, -1] - 7.0 * len(labels)).max() < 5


def test_one_score_without_an_activation_is_in_the_audit(make_video: VideoMaker, tmp_path: Path) -> None:
    model = value_model(LABELS[:1])
    model = replace(model, spec=replace(model.spec, activation=None))
    result = Explainer(model, ExplainOptions(outputs=("data",), methods=("gradcam",))).explain(make_video(), tmp_path)
    assert any("activation='none'" in sentence for sentence in result.audit)


def test_crops_of_values_are_averaged_themselves(make_video: VideoMaker, tmp_path: Path) -> None:
    """One window, three crops: the value of the window is the mean of the crops' values."""
    options = ExplainOptions(outputs=("data",), view="three-crop", methods=("gradcam",), at=1.0)
    model, video = value_model(), make_video(count=40)
    merged = Explainer(model, options).explain(video, tmp_path / "a").explanation.explanations[0].logits
    predicted = Predictor(model, options).predict(video)
    np.testing.assert_allclose(merged, predicted.probabilities, rtol=1e-5)
    assert [entry.probability for entry in predicted.document.top5] == [None] * 3
    assert {window.probability for window in predicted.document.windows} == {None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ("above:0.2",)}, "--target above:0.2 needs probabilities; 'values' returns values"),
        ({"score": "probability"}, "with activation 'none' there is none"),
    ],
)
def test_options_that_need_probabilities(options: Any, message: str, make_video: VideoMaker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        Explainer(value_model(), ExplainOptions(outputs=("data",), **options)).explain(make_video(), tmp_path / "out")


def test_scoring_needs_probabilities() -> None:
    with pytest.raises(InputError, match="model 'values' returns values; only models with probabilities can be scored"):
        resolve(value_model(), ScoreOptions())
