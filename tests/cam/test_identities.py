"""Identities of every method, and random shapes, types and layers from hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.networks import CHEAP, EVERY
from tests.helpers.passes import attribution
from vidcam.cam.explain import explain
from vidcam.cam.methods import ALL_METHODS, BASELINE_METHODS
from vidcam.cam.request import MapRequest
from vidcam.results.explanation import INPUT_METHODS, Explanation

OF_ATTENTION = ("attention-cam", "rollout", "legrad")
OF_ANY_NETWORK = tuple(method for method in ALL_METHODS if method not in OF_ATTENTION)
NEED_BASELINE = (*BASELINE_METHODS, *INPUT_METHODS)
WITHOUT_CHANCE = tuple(method for method in OF_ANY_NETWORK if method != "rise")
"""The masks of rise are drawn for a grid: they do not turn with the clip, and an image has other ones."""

WITH_HIDDEN_HEAD = tuple(method for method in OF_ANY_NETWORK if method != "cam")


class Net(nn.Module):
    """Conv → ReLU, then a head that a flip or a shift of features cannot change: pooled, with or without more layers.

    Features are squared on the way, so that g differs from place to place.
    """

    def __init__(self, *, axes: int = 3, is_hidden: bool = True, channels: int = 5, classes: int = 6) -> None:
        super().__init__()
        self.axes, self.is_hidden = axes, is_hidden
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
        self.conv, self.relu = conv(3, channels, 1), nn.ReLU()
        self.second = conv(channels, 7, 1)
        self.out = nn.Linear(7 if is_hidden else channels, classes)

    def forward(self, clip: Tensor) -> Tensor:
        features = self.relu(self.conv(clip))
        if self.is_hidden:
            features = self.second(features).relu()
        scores: Tensor = self.out(features.flatten(2).mean(dim=2))
        return scores


def net_for(method: str, **options: Any) -> nn.Module:
    return seeded(Net, is_hidden=method != "cam", **options).double()


def clip_of(clips: int = 2, frames: int = 4) -> Tensor:
    return random_clip(clips, 3, frames, 5, 6, dtype=torch.float64)


def maps(explanation: Explanation, method: str) -> np.ndarray[Any, Any]:
    result: np.ndarray[Any, Any] = {**explanation.volumes, **explanation.guided}[method]
    return result


def run(net: nn.Module, clip: Tensor, method: str, **options: Any) -> np.ndarray[Any, Any]:
    if method in NEED_BASELINE:
        flat = torch.full_like(clip[:1], 0.2)
        options["baseline"] = torch.cat([flat, 2 * flat]) if method == "expected-gradients" else flat
    return maps(explain(net, clip, layer="relu", methods=[method], **{"target": 2, **options}), method)


def test_every_method_is_covered() -> None:
    assert {*EVERY, *NEED_BASELINE} == set(ALL_METHODS)
    for method in OF_ANY_NETWORK:
        result = run(net_for(method), clip_of(), method)
        assert result.max() > 0
        assert result.std() > 1e-3 * result.max()


@pytest.mark.parametrize("method", OF_ANY_NETWORK)
def test_permuted_channels_give_the_same_map(method: str) -> None:
    net, order = net_for(method), torch.tensor([3, 0, 4, 1, 2])
    assert isinstance(net, Net)
    expected = run(net, clip_of(), method)
    with torch.no_grad():
        net.conv.weight.copy_(net.conv.weight[order])
        bias = net.get_parameter("conv.bias")
        bias.copy_(bias[order])
        reader = net.second if net.is_hidden else net.out
        reader.weight.copy_(reader.weight[:, order])
    np.testing.assert_allclose(run(net, clip_of(), method), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("axis", [2, 3, 4], ids=["time", "rows", "columns"])
@pytest.mark.parametrize("method", WITHOUT_CHANCE)
def test_a_reversed_clip_has_a_reversed_map(method: str, axis: int) -> None:
    net, clip = net_for(method), clip_of()
    expected = run(net, clip, method)
    result = run(net, clip.flip(axis), method)
    np.testing.assert_allclose(np.flip(result, axis - 5), expected, rtol=1e-9, atol=1e-14)
    assert np.abs(result - expected).max() > 1e-3 * expected.max()


@pytest.mark.parametrize("method", WITHOUT_CHANCE)
def test_a_clip_of_one_frame_equals_an_image(method: str) -> None:
    solid, flat = net_for(method), net_for(method, axes=2)
    flat.load_state_dict({name: t.squeeze(-1) if t.ndim == 5 else t for name, t in solid.state_dict().items()})
    clip = clip_of(frames=1)
    video, image = run(solid, clip, method), run(flat, clip[:, :, 0], method)
    np.testing.assert_allclose(video.squeeze(-3), image, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("method", OF_ANY_NETWORK)
def test_a_batch_equals_single_clips(method: str) -> None:
    net, clips = net_for(method).float(), clip_of(4).float()
    together = run(net, clips, method, target=[2, 0, 5, 2])
    for n, target in enumerate([2, 0, 5, 2]):
        alone = run(net, clips[n : n + 1], method, target=target)[0]
        rounding = 4 * torch.finfo(torch.float32).eps if method == "occlusion" else 0.0  # a difference of two scores
        np.testing.assert_allclose(together[n], alone, rtol=0, atol=1e-5 * np.abs(alone).max() + rounding)


@pytest.mark.parametrize("chunk", [1, 3, 6, 99])
def test_chunks_of_classes_do_not_matter(chunk: int) -> None:
    net, clip = net_for("gradcam++softmax"), clip_of()
    whole = run(net, clip, "gradcam++softmax", softmax_chunk=6)
    np.testing.assert_allclose(run(net, clip, "gradcam++softmax", softmax_chunk=chunk), whole, rtol=1e-10)


def test_a_tail_leaves_out_the_least_probable_classes_only() -> None:
    net, clip = net_for("gradcam++softmax"), clip_of(1)
    assert isinstance(net, Net)
    with torch.no_grad():
        net.out.bias.copy_(torch.tensor([0.0, 3.0, 2.0, 1.0, -30.0, -30.0]))
    whole, cut, more = (run(net, clip, "gradcam++softmax", softmax_tail=tail) for tail in (0.0, 1e-9, 0.5))
    np.testing.assert_allclose(cut, whole, rtol=1e-6)
    assert not np.array_equal(cut, whole)
    assert np.abs(more - whole).max() > 1e-3 * whole.max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", OF_ANY_NETWORK)
def test_half_precision_is_finite_and_close(method: str, dtype: torch.dtype) -> None:
    net, clip = net_for(method), clip_of()
    expected = run(net, clip, method)
    result = run(net.to(dtype), clip.to(dtype), method)
    assert result.dtype == np.float32
    rounding = torch.finfo(dtype).eps if method == "occlusion" else 0.0  # a difference of two scores
    share = np.abs(result - expected) > 0.05 * np.abs(expected).max() + rounding
    assert np.isfinite(result).all()
    assert share.mean() < (0.02 if method.startswith("guided") else 0.005)


@pytest.mark.parametrize("contrast", [None, 1])
def test_methods_that_are_equal_on_pooled_heads(contrast: int | None) -> None:
    """relu(cam)/Z = gradcam = hirescam, layercam = gradcam+."""
    net, clip = seeded(Net, is_hidden=False).double(), clip_of()
    assert isinstance(net, Net)
    with torch.no_grad():
        net.out.weight[2, 0] = -0.2  # a negative weight, so that gradcam+ differs from gradcam
    volumes = explain(net, clip, layer="relu", methods=(*CHEAP, "cam"), target=2, contrast=contrast).volumes
    cells = 4 * 5 * 6
    np.testing.assert_allclose(volumes["cam"] / cells, volumes["gradcam"], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(volumes["hirescam"], volumes["gradcam"], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(volumes["layercam"], volumes["gradcam+"], rtol=1e-9, atol=1e-15)
    shares = {name: volumes[name] / volumes[name].max() for name in ("gradcam", "gradcam+", "gradcam++")}
    assert np.abs(shares["gradcam+"] - shares["gradcam"]).max() > 1e-3
    assert np.abs(shares["gradcam++"] - shares["gradcam+"]).max() > 1e-6


def test_gradcam_equals_captum() -> None:
    captum = pytest.importorskip("captum.attr")
    net, clip = seeded(PooledHead).eval(), random_clip(2, 3, 4, 8, 8)
    for layer in ("block1.1", "block2.1"):  # with negative activations; captum rectifies the map itself
        theirs = captum.LayerGradCam(net, net.get_submodule(layer)).attribute(clip, target=1, relu_attributions=True)
        ours = explain(net, clip, layer=layer, methods=["gradcam"], target=1).volumes["gradcam"]
        assert theirs.shape == (2, 1, *ours.shape[1:])
        np.testing.assert_allclose(ours, theirs[:, 0].detach().numpy(), rtol=0, atol=1e-5 * ours.max())
        assert ours.max() > 0


# ---- random inputs


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    clips=st.integers(1, 3),
    size=st.lists(st.integers(1, 5), min_size=1, max_size=3).filter(lambda size: max(size) > 1),
    channels=st.integers(1, 4),
    classes=st.integers(2, 5),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    layers=st.sampled_from([["relu"], ["conv"], ["second"], ["relu", "second"]]),
    methods=st.lists(st.sampled_from(WITH_HIDDEN_HEAD), min_size=1, max_size=4, unique=True),
    score=st.sampled_from(["logit", "probability"]),
    magnitude=st.sampled_from([0.0, 1e-3, 1.0, 100.0]),
    seed=st.integers(0, 9),
)
def test_any_shape_type_layer_and_method(  # noqa: PLR0917 – hypothesis names them
    clips: int,
    size: list[int],
    channels: int,
    classes: int,
    dtype: torch.dtype,
    layers: list[str],
    methods: list[str],
    score: Any,
    magnitude: float,
    seed: int,
) -> None:
    assume(clips > 1 or "expected-gradients" not in methods)  # it draws from other clips
    net = seeded(Net, seed, axes=len(size), channels=channels, classes=classes).to(dtype)
    clip = (magnitude * random_clip(clips, 3, *size, seed=seed)).to(dtype)
    baseline = torch.full_like(clip[:1], 0.1)
    result = explain(net, clip, layer=layers, methods=methods, score=score, baseline=baseline)
    wide = np.float64 if dtype == torch.float64 else np.float32
    assert len(result) == clips
    assert ((result.target >= 0) & (result.target < classes)).all()
    assert set(result.volumes) | set(result.guided) == set(methods)
    for name, volume in result.volumes.items():
        assert volume.shape == (clips, *size)
        assert volume.dtype == np.dtype(wide)
        assert np.isfinite(volume).all()
        assert volume.min() >= 0
        heat = result.heat(name)
        assert np.isfinite(heat).all()
        assert heat.min() >= 0
        assert heat.max() <= 1
        assert result.empty[name].tolist() == [not clip.any() for clip in volume]
        assert heat.reshape(clips, -1).max(axis=1).tolist() == [0.0 if empty else 1.0 for empty in result.empty[name]]
    for values in result.guided.values():
        assert values.shape == tuple(clip.shape)
        assert np.isfinite(values).all()
    for n in range(clips):
        assert "nan" not in result.audit(n)


# ---- memory


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096


def explain_often(times: int) -> None:
    net, clip = seeded(Net, is_hidden=False), random_clip(1, 3, 2, 3, 3)
    for _ in range(times):
        with attribution(net, clip, MapRequest(layers=("relu",))) as run:
            run.explain(1)


def test_memory_does_not_grow() -> None:
    """Enough calls to detect 1 KB per call."""
    try:
        resident_bytes()
    except OSError:
        pytest.skip("needs /proc")
    explain_often(200)
    before = resident_bytes()
    explain_often(500)
    assert resident_bytes() - before < 500_000
