"""A model on a flat grey clip: what is refused there, its sink, its references, and the methods chosen by its head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import TINY_SPEC, BrightnessNet, pooled_model
from tests.pipelines.explain.test_analyse import FailingNet
from vidcam.cam.baseline import look_at_neutral
from vidcam.errors import InputError, RunError
from vidcam.models.model import Model
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.prepare import default_methods, look_at_grey
from vidcam.preprocess import grey_input


@pytest.mark.parametrize("classes", [1, 3, 400])
def test_a_model_of_other_scores_than_its_spec_says(classes: int) -> None:
    spec = replace(TINY_SPEC, classes=classes)
    model = Model(spec, BrightnessNet(), tuple(map(str, range(classes))), "by hand")
    message = (
        rf"model 'tiny' returns 2 scores, expected {classes} as its spec says; correct the spec's classes and labels"
    )
    with pytest.raises(InputError, match=message):
        look_at_grey(model, ("relu",))


class LoudCorner(BrightnessNet):
    """A cell of `relu` is loud on any clip."""

    def __init__(self) -> None:
        super().__init__((4, 2, 2))
        self.register_buffer("bias", torch.zeros(1, 1, 1, 8, 8))
        self.get_buffer("bias")[..., 0, 7] = 50.0
        self.relu.register_forward_hook(lambda _module, _inputs, output: output + self.get_buffer("bias"))


def test_the_sink_is_found_on_a_grey_clip() -> None:
    spec = replace(TINY_SPEC, classes=2)
    sink = look_at_grey(Model(spec, LoudCorner(), ("a", "b"), "by hand"), ("relu",)).sink
    assert sink is not None
    assert sink.cells == ((0, 0, 7),)
    assert [sink.value, sink.median] == pytest.approx([50.5, 0.5])  # grey is 127.5 of 255
    assert look_at_grey(Model(spec, BrightnessNet((4, 2, 2)), ("a", "b"), "by hand"), ("relu",)).sink is None


@pytest.mark.parametrize("layer", ["relu", None])
def test_an_error_of_torchs_on_the_grey_clip_is_one_of_ours(layer: str | None) -> None:
    spec = replace(TINY_SPEC, classes=2, layer=layer)
    with pytest.raises(RunError, match="out of memory"):
        Explainer(Model(spec, FailingNet(RuntimeError("out of memory")), ("a", "b"), "by hand"), ExplainOptions())


class _Headed(nn.Module):
    """Three classes; `relu` holds what is above it, A = relu(conv) or, without the ReLU, whatever conv gives."""

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
        (lambda: _Headed(pooled_head()), ("neutral-gradcam", "gradcam++")),
        (lambda: _Headed(hidden_head()), ("gradcam", "gradcam++")),
        (lambda: _Headed(pooled_head(), is_rectified=False), ("gradcam", "gradcam++")),
        (lambda: _Headed(two_linear_layers()), ("gradcam", "gradcam++")),
        (lambda: _Headed(maximum_head()), ("gradcam", "gradcam++")),
    ],
    ids=["pooled", "fully connected", "pooled, but negative", "pooled, two layers", "the maximum"],
)
def test_the_default_methods_are_those_of_the_head(net: Callable[[], nn.Module], methods: tuple[str, ...]) -> None:
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        model = Model(TINY_SPEC, net(), ("a", "b", "c"), "by hand")
    assert default_methods(model, ("relu",)) == methods


def test_the_references_are_those_of_the_grey_clip() -> None:
    model = pooled_model()
    layer = "block2"
    found = look_at_grey(model, (layer,)).activations
    expected = look_at_neutral(model.module, grey_input(model.spec), layer=layer).activations
    assert list(found) == [layer]
    assert torch.equal(found[layer], expected[layer])


class _RootHead(nn.Module):
    """Its score has no finite gradient where A = 0, as on grey."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        squares: Tensor = self.relu(clip - 0.6).pow(2)
        return squares.mean(dim=(2, 3, 4)).sqrt()


def test_a_model_without_a_finite_gradient_on_grey_is_not_refused() -> None:
    model = Model(TINY_SPEC, _RootHead(), ("a", "b", "c"), "by hand")
    assert not look_at_grey(model, ("relu",)).activations["relu"].any()
    assert Explainer(model, ExplainOptions()) is not None
