"""The model that a run uses: faster where that works, itself where it does not, and always said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.pipelines.conftest import FilmMaker
from vidcam.cam import randomise
from vidcam.cam.guided import guided_saliency
from vidcam.errors import RunError, VidcamError
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.prepare import prepare
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_clips
from vidcam.system.json_files import as_plain

TAKEN = {"memory_format": "channels_last_3d", "precision": "float32", "reason": None}


class Contrary(nn.Module):
    """A network that fails once its weights lie otherwise, or are of 16 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv3d(3, 4, 3, stride=4, padding=1), nn.Linear(4, 8)

    def forward(self, x: Tensor) -> Any:
        if not (self.conv.weight.is_contiguous() and x.dtype == torch.float32):
            raise RuntimeError("not so")
        return self.fc(self.conv(x).relu().mean(dim=(2, 3, 4)))


def tiny(network: nn.Module | None = None, layer: str = "layer3") -> Model:
    model = load_model("tiny_r3d", device="cpu")
    spec = replace(model.spec, layer=layer)
    return replace(model, spec=spec, module=network or model.module)


def test_a_copy_that_fails_gives_way_to_the_network() -> None:
    model = tiny(Contrary().eval(), "conv")
    ready = prepare(model, ["conv"])
    assert ready.model is model
    assert ready.forward.memory_format == "contiguous"
    assert "the channels-last copy failed: model 'tiny_r3d' failed on a batch of 1 (not so)" in str(
        ready.forward.reason
    )


def test_what_fails_both_ways_fails_as_the_network_does() -> None:
    with pytest.raises(VidcamError, match=r"conv9"):
        prepare(tiny(), ["conv9"])
    with pytest.raises(RunError, match="model 'tiny_r3d' failed"):
        prepare(tiny(nn.Sequential(nn.Conv3d(5, 4, 1)), "0"), ["0"])


def test_a_precision_that_fails_is_not_left_out() -> None:
    with pytest.raises(RunError, match="failed on a batch of 1"):
        prepare(tiny(Contrary().eval(), "conv"), ["conv"], precision="bf16")


def test_the_document_says_what_was_taken(film: FilmMaker, tmp_path: Path) -> None:
    options = ExplainOptions(outputs=("data",))
    exact = explain_video(film(), tmp_path / "exact", model=tiny(), options=options)
    half = explain_video(film(), tmp_path / "half", model=tiny(), options=replace(options, precision="bf16"))
    assert as_plain(exact.document)["runtime"]["forward"] == TAKEN
    assert as_plain(half.document)["runtime"]["forward"] == TAKEN | {"precision": "bf16"}
    for method, volume in exact.film.explanations[0].volumes.items():
        other = half.film.explanations[0].volumes[method]
        assert 0 < abs(volume - other).max() < 0.05 * abs(volume).max()


def test_guided_maps_are_of_the_network_itself(
    film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, real, seen = tiny(), guided_saliency, []

    def noted(module: nn.Module, *arguments: Any, **named: Any) -> Any:
        seen.append(module)
        return real(module, *arguments, **named)

    monkeypatch.setattr("vidcam.pipelines.explain.saliency.guided_saliency", noted)
    options = ExplainOptions(methods=("guided-gradcam",), outputs=("overlay",), clip_start_seconds=0.0)
    explain_video(film(), tmp_path / "out", model=model, options=options)
    assert seen
    assert all(module is model.module for module in seen)


def test_a_summary_says_what_was_taken_and_other_ways_are_not_mixed(film: FilmMaker, tmp_path: Path) -> None:
    clips, options = [film("a"), film("b")], ScoreOptions(methods=("gradcam",), measures="drop")
    made = score_clips(clips, tmp_path / "out", model=tiny(), options=options)
    assert as_plain(made.summary.forward) == TAKEN
    with pytest.raises(VidcamError, match=r"other settings \(forward was .*float32.*, is .*bf16"):
        score_clips(clips, tmp_path / "out", model=tiny(), options=replace(options, precision="bf16"))


def test_weights_drawn_anew_are_those_of_the_network_that_answers(
    film: FilmMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    options = ScoreOptions(methods=("gradcam++",), measures="drop", sanity=1)
    found = score_clips([film()], tmp_path / "drawn", model=model, options=options).summary.sanity
    assert found is not None
    assert min(value or 0.0 for value in found.cascading["gradcam++"].correlation) < 0.9
    assert all(bool((tensor == before[name]).all()) for name, tensor in model.module.state_dict().items())
    monkeypatch.setattr(randomise, "_drawn_like", lambda parameter, _: parameter.detach().clone())
    same = score_clips([film()], tmp_path / "same", model=model, options=options).summary.sanity
    assert same is not None
    assert same.cascading["gradcam++"].correlation == pytest.approx([1.0] * len(same.layers))
