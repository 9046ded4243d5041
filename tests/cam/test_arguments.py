"""Inputs besides the clip: the same maps as of a network that has them inside; the network is left as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.forms import Headed, activations, double_clip, grad_cam
from vidcam.cam.baseline import compute_baseline
from vidcam.cam.explain import explain, explain_each
from vidcam.cam.layers import list_layers
from vidcam.errors import InputError

METHODS = ("gradcam", "hirescam", "guided-gradcam")
GAIN = torch.tensor([[0.5, 2.0, -1.0, 3.0, 0.1, 1.0], [-2.0, 1.0, 4.0, 0.2, 1.0, 1.5]], dtype=torch.float64)
"""(N, D): each clip weighs the channels by its own row, so a wrong row gives another map."""


def _weighted(net: Any, a: Tensor, gain: Tensor) -> Tensor:
    scores: Tensor = net.fc((a * gain[:, :, None, None, None]).mean(dim=(2, 3, 4)))
    return scores


INSIDE = Headed(lambda net, a: _weighted(net, a, GAIN))
"""The same network with the gain inside; its maps need no further input."""


class Positional(Headed):
    def __init__(self) -> None:
        super().__init__(_pass)

    def forward(self, clip: Tensor, gain: Tensor, *, scale: float = 1.0) -> Any:  # type: ignore[override]
        return _weighted(self, self.block(clip), gain) * scale


class GainFirst(Headed):
    def __init__(self) -> None:
        super().__init__(_pass)

    def forward(self, gain: Tensor, clip: Tensor) -> Any:  # type: ignore[override]
        return _weighted(self, self.block(clip), gain)


class Named(Headed):
    def __init__(self) -> None:
        super().__init__(_pass)

    def forward(self, pixel_values: Tensor, extra: dict[str, list[Tensor]], **_: Any) -> Any:  # type: ignore[override]
        return _weighted(self, self.block(pixel_values), extra["gains"][0])


def _pass(_: Any, a: Tensor) -> Tensor:
    return a


CLIP = double_clip()
CALLS: dict[str, tuple[nn.Module, Any, dict[str, Any]]] = {
    "args": (Positional(), CLIP, {"args": (GAIN,)}),
    "args and kwargs": (Positional(), CLIP, {"args": [GAIN], "kwargs": {"scale": 1.0}}),
    "kwargs": (Positional(), CLIP, {"kwargs": {"gain": GAIN}}),
    "tuple": (Positional(), (CLIP, GAIN), {}),
    "tuple, clip second": (GainFirst(), (GAIN, CLIP), {}),
    "tuple of arrays": (Positional(), (CLIP.numpy(), GAIN), {}),
    "mapping": (Named(), {"pixel_values": CLIP, "extra": {"gains": [GAIN]}}, {}),
    "mapping and kwargs": (Named(), {"pixel_values": CLIP}, {"kwargs": {"extra": {"gains": [GAIN]}, "more": 1}}),
}


@pytest.mark.parametrize("layer", ["block", None])
@pytest.mark.parametrize("name", CALLS)
def test_maps_are_those_of_the_network_with_the_input_inside(name: str, layer: str | None) -> None:
    """Also where one clip of the batch is run to find the layer, and in guided methods' own pass."""
    net, clip, options = CALLS[name]
    expected = explain(INSIDE, CLIP, layer="block", target=1, methods=METHODS)
    result = explain(net, clip, layer=layer, target=1, methods=METHODS, **options)
    np.testing.assert_allclose(result.logits, expected.logits, rtol=1e-12)
    for method in ("gradcam", "hirescam"):
        np.testing.assert_allclose(result.volumes[method], expected.volumes[method], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(result.guided["guided-gradcam"], expected.guided["guided-gradcam"], atol=1e-14)
    assert not net._forward_pre_hooks
    assert not net._forward_pre_hooks_with_kwargs
    assert ("tuple" in name) == any("handed over as 2 arguments" in note for note in result.notes)


def test_the_map_by_hand() -> None:
    """S_k = Σ_d W_kd·gain_d·mean(A_d) + b_k, so ∂S_k/∂A_d = W_kd·gain_d / cells."""
    net = Positional()
    a = activations(net, CLIP)
    gradient = (net.fc.weight.detach()[1] * GAIN / a[0, 0].numel())[:, :, None, None, None]
    result = explain(net, CLIP, layer="block", target=1, methods="gradcam", args=(GAIN,))
    np.testing.assert_allclose(result.volumes["gradcam"], grad_cam(a, gradient), rtol=1e-10, atol=1e-14)


def test_several_targets_share_the_inputs() -> None:
    results = explain_each(Positional(), CLIP, [0, lambda output: output[:, 3]], layer="block", args=(GAIN,))
    for result, target in zip(results, (0, 3), strict=True):
        expected = explain(INSIDE, CLIP, layer="block", target=target)
        np.testing.assert_allclose(result.volumes["gradcam"], expected.volumes["gradcam"], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "baseline",
    [
        pytest.param(torch.zeros_like(CLIP[:1]), id="tensor"),
        pytest.param(torch.zeros_like(CLIP[:1]).numpy(), id="array"),
        pytest.param((torch.zeros_like(CLIP[:1]), GAIN[:1]), id="tuple"),
    ],
)
def test_a_baseline_clip_runs_beside_the_same_inputs(baseline: Any) -> None:
    options: dict[str, Any] = {"layer": "block", "target": 1, "methods": "neutral-gradcam"}
    expected = explain(INSIDE, CLIP, baseline=torch.zeros_like(CLIP), **options).volumes["neutral-gradcam"]
    given: dict[str, Any] = {} if isinstance(baseline, tuple) else {"args": (GAIN,)}
    clip = (CLIP, GAIN) if isinstance(baseline, tuple) else CLIP
    result = explain(Positional(), clip, baseline=baseline, **given, **options)
    np.testing.assert_allclose(result.volumes["neutral-gradcam"], expected, rtol=1e-10, atol=1e-14)


def test_layers_and_baselines_take_them_too() -> None:
    net = Positional()
    names = [layer.name for layer in list_layers(net, CLIP, args=(GAIN,))]
    assert names == [layer.name for layer in list_layers(INSIDE, CLIP)]
    baseline = compute_baseline(net, CLIP, layer="block", kwargs={"gain": GAIN})
    expected = compute_baseline(INSIDE, CLIP, layer="block")
    assert torch.equal(baseline.activations["block"], expected.activations["block"])


class Pathways(nn.Module):
    """Two pathways in one argument, and boxes in another."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.slow, self.fast = nn.Conv3d(3, 4, 1).double(), nn.Conv3d(3, 4, 1).double()
        self.fc = nn.Linear(8, 3).double()

    def forward(self, clips: list[Tensor], boxes: Tensor | None = None) -> Any:
        pooled = [f(c).relu().mean(dim=(2, 3, 4)) for f, c in zip((self.slow, self.fast), clips, strict=True)]
        scores = self.fc(torch.cat(pooled, 1))
        return scores if boxes is None else scores * boxes.mean()


def test_pathways_stay_one_argument_beside_boxes() -> None:
    clips, boxes = [CLIP[:, :, ::2], CLIP], torch.full((7, 4), 3.0, dtype=torch.float64)
    plain = explain(Pathways(), clips, layer="fast", target=0).volumes["gradcam"]
    for clip, options in ((clips, {"args": (boxes,)}), ((clips, boxes), {}), (clips, {"kwargs": {"boxes": boxes}})):
        result = explain(Pathways(), clip, layer="fast", target=0, **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(result.volumes["gradcam"], 3 * plain, rtol=1e-12)


def test_a_tuple_of_pathways_stays_one_argument_where_forward_needs_one() -> None:
    class One(Pathways):
        def forward(self, clips: Any) -> Any:  # type: ignore[override]
            assert type(clips) is tuple
            return super().forward(list(clips))

    clips = (CLIP[:, :, ::2], CLIP)
    expected = explain(Pathways(), list(clips), layer="fast", target=0).volumes["gradcam"]
    for net in (One(), Pathways()):
        np.testing.assert_array_equal(explain(net, clips, layer="fast", target=0).volumes["gradcam"], expected)


def test_inputs_keep_their_type_and_the_users_hooks_see_them() -> None:
    seen: list[Any] = []

    class Typed(Positional):
        def forward(self, clip: Tensor, ids: Tensor, mask: Any = None) -> Any:  # type: ignore[override]
            seen.append((ids.dtype, mask, len(ids)))
            return super().forward(clip, GAIN[: len(clip)])

    net = Typed()
    handle = net.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs)))
    with torch.inference_mode():
        ids = torch.arange(2)
    explain(net, CLIP, args=(ids, "text"), target=0)
    assert seen == [3, (torch.int64, "text", 2)] * 2
    assert list(net._forward_pre_hooks) == [handle.id]


@pytest.mark.parametrize(
    ("clip", "options", "message"),
    [
        (CLIP, {}, r"forward\(clip, gain, scale\): missing a required argument: 'gain'; pass others"),
        ([CLIP, GAIN], {}, "missing a required argument.*a list is one argument, a tuple several"),
        (CLIP, {"args": (GAIN, 1, 2)}, "too many positional arguments"),
        (CLIP, {"kwargs": {"gain": GAIN, "boxes": 1}}, "unexpected keyword argument 'boxes'"),
        (CLIP, {"args": GAIN}, "args must be a tuple and kwargs a dict, got Tensor"),
        ({"clip": CLIP, "gain": GAIN}, {"kwargs": {"gain": GAIN}}, "'gain' is in the clip and in kwargs"),
        ({"text": "a"}, {}, "clip holds no tensor, only str"),
    ],
)
def test_calls_that_forward_does_not_take(clip: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(Positional(), clip, layer="block", **options)
