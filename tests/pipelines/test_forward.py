"""Preparing a model: its faster copy, errors, the artifact and the default methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import TINY_SPEC, BrightnessNet, pooled_model
from tests.pipelines.conftest import VideoMaker
from tests.pipelines.explain.test_analyse import FailingNet
from vidcam.cam import randomise
from vidcam.cam.baseline import compute_baseline
from vidcam.cam.guided import guided_saliency
from vidcam.errors import InputError, RunError, VidcamError
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.forward import compute_grey_baseline, default_methods, prepare
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.preprocess import grey_input
from vidcam.system.json_files import as_plain

TAKEN = {"memory_format": "channels_last_3d", "precision": "float32", "reason": None, "tf32": False}


class Contrary(nn.Module):
    """A network that fails with channels-last or 16-bit weights."""

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


def test_if_the_copy_fails_the_original_model_is_used() -> None:
    model = tiny(Contrary().eval(), "conv")
    ready = prepare(model, ["conv"])
    assert ready.model is model
    assert ready.forward.memory_format == "contiguous"
    assert "the channels-last copy failed: model 'tiny_r3d' failed on a batch of 1: RuntimeError: not so" in str(
        ready.forward.reason
    )


def test_if_copy_and_original_fail_the_error_is_that_of_the_original() -> None:
    with pytest.raises(VidcamError, match=r"conv9"):
        prepare(tiny(), ["conv9"])
    with pytest.raises(RunError, match="model 'tiny_r3d' failed"):
        prepare(tiny(nn.Sequential(nn.Conv3d(5, 4, 1)), "0"), ["0"])


def test_a_precision_that_fails_is_an_error() -> None:
    with pytest.raises(RunError, match="failed on a batch of 1"):
        prepare(tiny(Contrary().eval(), "conv"), ["conv"], precision="bf16")


def test_the_document_names_the_forward_pass(make_video: VideoMaker, tmp_path: Path) -> None:
    options = ExplainOptions(outputs=("data",))
    exact = Explainer(tiny(), options).explain(make_video(), tmp_path / "exact")
    half = Explainer(tiny(), replace(options, precision="bf16")).explain(make_video(), tmp_path / "half")
    assert as_plain(exact.document)["runtime"]["forward"] == TAKEN
    assert as_plain(half.document)["runtime"]["forward"] == TAKEN | {"precision": "bf16"}
    for method, volume in exact.explanation.explanations[0].volumes.items():
        other = half.explanation.explanations[0].volumes[method]
        assert 0 < abs(volume - other).max() < 0.05 * abs(volume).max()


def test_guided_maps_are_made_with_the_original_model(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, real, seen = tiny(), guided_saliency, []

    def noted(module: nn.Module, *arguments: Any, **named: Any) -> Any:
        seen.append(module)
        return real(module, *arguments, **named)

    monkeypatch.setattr("vidcam.pipelines.explain.saliency.guided_saliency", noted)
    options = ExplainOptions(methods=("guided-gradcam",), outputs=("overlay",), at=0.0)
    Explainer(model, options).explain(make_video(), tmp_path / "out")
    assert seen
    assert all(module is model.module for module in seen)


def test_the_summary_names_the_forward_pass_and_another_one_is_refused(make_video: VideoMaker, tmp_path: Path) -> None:
    clips, options = [make_video("a"), make_video("b")], ScoreOptions(methods=("gradcam",), measures="drop")
    made = score_set(clips, tmp_path / "out", options, model=tiny())
    assert as_plain(made.summary.settings.forward) == TAKEN
    with pytest.raises(VidcamError, match=r"other settings \(forward was .*float32.*, is .*bf16"):
        score_set(clips, tmp_path / "out", replace(options, precision="bf16"), model=tiny())


def test_randomised_weights_are_those_of_the_original_model(
    make_video: VideoMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pooled_model()
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    options = ScoreOptions(methods=("gradcam++",), measures="drop", sanity=1)
    found = score_set([make_video()], tmp_path / "drawn", options, model=model).summary.sanity
    assert found is not None
    assert min(value or 0.0 for value in found.cascading["gradcam++"].correlation) < 0.9
    assert all(bool((tensor == before[name]).all()) for name, tensor in model.module.state_dict().items())
    monkeypatch.setattr(randomise, "_random_like", lambda parameter, _: parameter.detach().clone())
    same = score_set([make_video()], tmp_path / "same", options, model=model).summary.sanity
    assert same is not None
    assert same.cascading["gradcam++"].correlation == pytest.approx([1.0] * len(same.layers))


@pytest.mark.parametrize("classes", [1, 3, 400])
def test_a_model_with_more_or_fewer_scores_than_its_spec_is_refused(classes: int) -> None:
    spec = replace(TINY_SPEC, classes=classes)
    model = Model(spec, BrightnessNet(), tuple(map(str, range(classes))), "by hand")
    message = rf"model 'tiny' returns 2 scores, but its spec has {classes} classes; correct the spec"
    with pytest.raises(InputError, match=message):
        compute_grey_baseline(model, ("relu",))


class LoudCorner(BrightnessNet):
    """A network with a cell of `relu` that is high on any clip."""

    def __init__(self) -> None:
        super().__init__((4, 2, 2))
        self.register_buffer("bias", torch.zeros(1, 1, 1, 8, 8))
        self.get_buffer("bias")[..., 0, 7] = 50.0
        self.relu.register_forward_hook(lambda _module, _inputs, output: output + self.get_buffer("bias"))


def test_the_artifact_is_found_on_a_grey_clip() -> None:
    spec = replace(TINY_SPEC, classes=2)
    artifact = compute_grey_baseline(Model(spec, LoudCorner(), ("a", "b"), "by hand"), ("relu",)).artifact
    assert artifact is not None
    assert artifact.cells == ((0, 0, 7),)
    assert [artifact.value, artifact.median] == pytest.approx([50.5, 0.5])  # grey is 127.5 of 255
    assert (
        compute_grey_baseline(Model(spec, BrightnessNet((4, 2, 2)), ("a", "b"), "by hand"), ("relu",)).artifact is None
    )


@pytest.mark.parametrize("layer", ["relu", None])
def test_an_error_of_torch_on_the_grey_clip_is_a_run_error(layer: str | None) -> None:
    spec = replace(TINY_SPEC, classes=2, layer=layer)
    with pytest.raises(RunError, match="out of memory"):
        Explainer(Model(spec, FailingNet(RuntimeError("out of memory")), ("a", "b"), "by hand"), ExplainOptions())


class _Headed(nn.Module):
    """Three classes; the layer `relu` gives relu(conv), or conv itself without the ReLU."""

    def __init__(self, head: nn.Module, *, is_rectified: bool = True) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv3d(3, 4, 1), head
        self.relu = nn.ReLU() if is_rectified else nn.Identity()

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.head(self.relu(self.conv(clip)))
        return scores


def pooled_head() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))


def two_linear_layers() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def maximum_head() -> nn.Module:
    return nn.Sequential(nn.AdaptiveMaxPool3d(1), nn.Flatten(), nn.Linear(4, 3))


def hidden_head() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * 4 * 16 * 16, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("net", "methods"),
    [
        (lambda: _Headed(pooled_head()), ("neutral-gradcam", "gradcam")),
        (lambda: _Headed(hidden_head()), ("gradcam", "neutral-gradcam")),
        (lambda: _Headed(pooled_head(), is_rectified=False), ("gradcam", "hirescam")),
        (lambda: _Headed(two_linear_layers()), ("gradcam", "neutral-gradcam")),
        (lambda: _Headed(maximum_head()), ("gradcam", "neutral-gradcam")),
    ],
    ids=["pooled", "fully connected", "pooled, but negative", "pooled, two layers", "the maximum"],
)
def test_the_default_methods_depend_on_the_head(net: Callable[[], nn.Module], methods: tuple[str, ...]) -> None:
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        model = Model(TINY_SPEC, net(), ("a", "b", "c"), "by hand")
    assert default_methods(model, ("relu",)) == methods


def test_the_references_are_the_activations_on_the_grey_clip() -> None:
    model = pooled_model()
    layer = "block2"
    found = compute_grey_baseline(model, (layer,)).activations
    expected = compute_baseline(model.module, grey_input(model.spec), layer=layer).activations
    assert list(found) == [layer]
    assert torch.equal(found[layer], expected[layer])


class _RootHead(nn.Module):
    """A network whose gradient is not finite where A = 0, as on grey."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        squares: Tensor = self.relu(clip - 0.6).pow(2)
        return squares.mean(dim=(2, 3, 4)).sqrt()


def test_a_model_without_a_finite_gradient_on_grey_is_accepted() -> None:
    model = Model(TINY_SPEC, _RootHead(), ("a", "b", "c"), "by hand")
    assert not compute_grey_baseline(model, ("relu",)).activations["relu"].any()
    assert Explainer(model, ExplainOptions()) is not None
