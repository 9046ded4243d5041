"""`explain` as a whole: against three autograd derivatives, on small numbers, and by identities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tests.helpers import oracle
from tests.helpers.nets import BrightnessNet, HiddenHead, PooledHead, random_clip, seeded
from tests.helpers.passes import attribution
from vidcam.cam.explain import explain
from vidcam.cam.request import MapRequest

ALL = ("gradcam", "gradcam+", "gradcam++")


def _hidden(*, inplace: bool = False) -> HiddenHead:
    net = seeded(HiddenHead, inplace=inplace).double()
    assert isinstance(net, HiddenHead)
    return net


def _clip(clips: int = 2) -> Tensor:
    return random_clip(clips, 3, 3, 4, 4, dtype=torch.float64)


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_plus_plus_equals_three_autograd_derivatives(target: int) -> None:
    net, clip = _hidden(), _clip()
    volumes = explain(net, clip, layer="relu", methods=["gradcam++"], target=target).volumes["gradcam++"]
    activations = net.relu(net.conv(clip)).detach()
    for n in range(2):

        def score(a: Tensor) -> Tensor:
            return net.head(a.unsqueeze(0))[0, target]

        weights = oracle.gradcam_pp_weights(score, activations[n])
        scale = torch.exp(score(activations[n])).detach()  # Y′ carries the factor exp(S) that vidcam leaves out
        expected = oracle.weighted_map(weights / scale, activations[n]).numpy()
        np.testing.assert_allclose(volumes[n], expected, rtol=1e-9, atol=1e-12)
        assert expected.max() > 0 or target != 3


def test_gradcam_and_plus_equal_autograd() -> None:
    net, clip = _hidden(), _clip(1)
    result = explain(net, clip, layer="relu", methods=ALL, target=2)
    leaf = net.relu(net.conv(clip)).detach().requires_grad_()
    gradient = torch.autograd.grad(net.head(leaf)[0, 2], leaf)[0][0]
    for method, weights in {
        "gradcam": gradient.flatten(1).mean(dim=1),
        "gradcam+": gradient.clamp(min=0).flatten(1).mean(dim=1),
    }.items():
        expected = oracle.weighted_map(weights, leaf.detach()[0]).numpy()
        np.testing.assert_allclose(result.volumes[method][0], expected, rtol=1e-9, atol=1e-12)


def test_maps_of_a_unit_gradient() -> None:
    """g = 1 everywhere, so gradcam is A itself and gradcam++ is A · n / (2 + ΣA) with n cells."""
    clip = torch.zeros(1, 3, 4, 16, 16)
    clip[:, :, :, :8, 8:] = 1.0
    result = explain(BrightnessNet(), clip, layer="relu", methods=ALL, target=0)
    expected = np.array([[[[0.0, 1.0], [0.0, 0.0]]]], dtype=np.float32)
    np.testing.assert_allclose(result.volumes["gradcam"], expected)
    np.testing.assert_allclose(result.volumes["gradcam+"], expected)
    np.testing.assert_allclose(result.volumes["gradcam++"], expected * (4 / 3))
    assert result.logits.tolist() == [[1.0, -1.0]]


def test_a_map_without_positive_evidence_is_zero_and_empty() -> None:
    result = explain(BrightnessNet(), torch.ones(1, 3, 4, 16, 16), layer="relu", methods=ALL, target=1)
    for method in ALL:
        assert result.empty[method].tolist() == [True]
        assert not result.heat(method).any()


def test_a_batch_equals_single_clips() -> None:
    net, clips = seeded(PooledHead), random_clip(5, 3, 4, 8, 8)
    together = explain(net, clips, layer="block2", methods=ALL)
    for n in range(5):
        alone = explain(net, clips[n : n + 1], layer="block2", methods=ALL)
        assert alone.target[0] == together.target[n]
        for method in ALL:
            scale = together.volumes[method][n].max()
            np.testing.assert_allclose(alone.volumes[method][0], together.volumes[method][n], atol=1e-5 * scale)


def test_in_place_relu_equals_not_in_place() -> None:
    results = [explain(_hidden(inplace=inplace), _clip(), layer="relu", methods=ALL) for inplace in (False, True)]
    for method in ALL:
        np.testing.assert_array_equal(results[0].volumes[method], results[1].volumes[method])
    relu_in_place = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    relu_plain = nn.Sequential(relu_in_place[0], nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    clip = random_clip(1, 3, 5, 6, 6)
    first, second = (explain(net, clip, layer="0", methods=ALL) for net in (relu_in_place, relu_plain))
    for method in ALL:
        np.testing.assert_array_equal(first.volumes[method], second.volumes[method])


def test_time_reversal_reverses_the_map() -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    clip = random_clip(1, 3, 4, 5, 5)
    forwards, backwards = (explain(net, c, layer="1", methods=ALL, target=1) for c in (clip, clip.flip(2)))
    for method in ALL:
        np.testing.assert_allclose(backwards.volumes[method], forwards.volumes[method][:, ::-1], atol=1e-6)


def test_an_image_network_gives_image_maps() -> None:
    plane, cube = nn.Conv2d(3, 4, 3, bias=False), nn.Conv3d(3, 4, (1, 3, 3), bias=False)
    with torch.no_grad():
        cube.weight.copy_(plane.weight.unsqueeze(2))
    flat = nn.Sequential(plane, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    solid = nn.Sequential(cube, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    image = random_clip(2, 3, 8, 8)
    first = explain(flat, image, layer="1", methods=ALL)
    second = explain(solid, image.unsqueeze(2), layer="1", methods=ALL)
    for method in ALL:
        np.testing.assert_allclose(first.volumes[method], second.volumes[method][:, 0], atol=1e-6)
        assert first.heat(method).shape == (2, 8, 8)


def test_gradient_is_uniform_on_a_pooled_head() -> None:
    net = seeded(PooledHead)
    audit = explain(net, random_clip(2, 3, 4, 8, 8), layer="block2", methods="gradcam++").alpha["gradcam++"]
    assert audit.uniform.tolist() == [True, True]
    audit = explain(_hidden(), _clip(), layer="relu", methods="gradcam++").alpha["gradcam++"]
    assert audit.uniform.tolist() == [False, False]


def test_the_default_layer_is_the_last_with_a_grid() -> None:
    assert explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8)).layer == "block2"
    assert explain(_hidden(), _clip(1)).layer == "after"


def test_contrast_explains_the_difference() -> None:
    net, clip = _hidden(), _clip(1)
    with torch.no_grad():
        contrast = nn.Linear(12, 4).double()
        contrast.weight.copy_(net.out.weight - net.out.weight[1:2])
        contrast.bias.copy_(net.out.bias - net.out.bias[1])
    result = explain(net, clip, layer="relu", methods=ALL, target=2, contrast=1)
    net.out = contrast
    expected = explain(net, clip, layer="relu", methods=ALL, target=2)
    for method in ALL:
        np.testing.assert_allclose(result.volumes[method], expected.volumes[method], atol=1e-12)
    assert result.contrast is not None
    assert result.contrast.tolist() == [1]


def test_several_targets_from_one_forward_pass() -> None:
    net, clip = _hidden(), _clip()
    with attribution(net, clip, MapRequest(methods=ALL, layers=("relu",))) as run:
        together = [run.explain(target) for target in (0, [1, 3])]
    for classes, result in zip(([0, 0], [1, 3]), together, strict=True):
        alone = explain(net, clip, layer="relu", methods=ALL, target=classes)
        for method in ALL:
            np.testing.assert_array_equal(alone.volumes[method], result.volumes[method])


class _GeluHead(HiddenHead):
    def head(self, activations: Tensor) -> Tensor:
        scores: Tensor = self.out(nn.functional.gelu(self.hidden(self.after(activations).flatten(1))))
        return scores


def test_eq_19_is_exact_on_piecewise_linear_heads_only() -> None:
    pooled, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    assert explain(_hidden(), _clip(), layer="relu", methods="gradcam++").alpha_exact is True
    assert explain(pooled, clip, layer="block2", methods="gradcam++").alpha_exact is True
    assert explain(seeded(_GeluHead).double(), _clip(), layer="relu", methods="gradcam++").alpha_exact is False
    assert explain(_hidden(), _clip(), layer="relu", methods="gradcam").alpha_exact is None


class _TimeLogits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)

    def forward(self, clip: Tensor) -> Tensor:
        return torch.relu(self.conv(clip)).mean(dim=(3, 4))  # (N, K, T)


def test_logits_over_time_are_averaged() -> None:
    net, clip = _TimeLogits(), random_clip(2, 3, 5, 6, 6)
    result = explain(net, clip, layer="conv")
    np.testing.assert_allclose(result.logits, net(clip).mean(dim=2).detach().numpy(), rtol=1e-6)


class _Derivative(torch.autograd.Function):
    """2x · g by an operation that torch cannot differentiate, like the backward of fused attention."""

    @staticmethod
    def forward(context: Any, x: Tensor, gradient: Tensor) -> Tensor:
        return 2 * x * gradient

    @staticmethod
    def backward(context: Any, *_: Tensor) -> Tensor:
        raise RuntimeError("derivative for square_backward is not implemented")  # torch's type and text


class _Square(torch.autograd.Function):
    """x², differentiable once: the second derivative raises torch's error."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return _Derivative.apply(*context.saved_tensors, gradient)


class _SquareMarkedOnce(torch.autograd.Function):
    """x² with `once_differentiable`: torch cuts the graph of the second derivative."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> Any:
        (x,) = context.saved_tensors
        return 2 * x * gradient


class _SquareHead(HiddenHead):
    square: type[torch.autograd.Function] = _Square

    def head(self, activations: Tensor) -> Tensor:
        scores: Tensor = self.out(self.square.apply(self.hidden(activations.flatten(1))))
        return scores


class _SquareMarkedOnceHead(_SquareHead):
    square = _SquareMarkedOnce


@pytest.mark.parametrize("net", [_SquareHead, _SquareMarkedOnceHead])
def test_a_head_that_is_differentiable_only_once(net: type[HiddenHead]) -> None:
    built, clip = seeded(net).double(), _clip()
    result = explain(built, clip, layer="relu", methods=ALL, target=1)
    assert isinstance(built, _SquareHead)
    leaf = built.relu(built.conv(clip)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(built.out(built.hidden(leaf.flatten(1)) ** 2)[:, 1].sum(), leaf)
    for n in range(2):
        expected = oracle.weighted_map(gradient[n].flatten(1).mean(dim=1), leaf.detach()[n]).numpy()
        np.testing.assert_allclose(result.volumes["gradcam"][n], expected, rtol=1e-9, atol=1e-12)


def test_alpha_exact_is_none_if_the_second_derivative_fails() -> None:
    assert explain(seeded(_SquareHead).double(), _clip(), layer="relu", target=1).alpha_exact is None


def test_alpha_exact_is_none_if_once_differentiable_cuts_the_graph() -> None:
    assert explain(seeded(_SquareMarkedOnceHead).double(), _clip(), layer="relu", target=1).alpha_exact is not True


def test_bfloat16_comes_out_as_float32() -> None:
    net, clip = seeded(HiddenHead).bfloat16(), random_clip(2, 3, 3, 4, 4, dtype=torch.bfloat16)
    result = explain(net, clip, layer="relu", methods=ALL, target=0)
    assert isinstance(net, HiddenHead)
    activations = net.relu(net.conv(clip)).detach()
    np.testing.assert_array_equal(result.logits, net.head(activations).detach().float().numpy())
    assert result.logits.dtype == np.float32
    leaf = activations.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net.head(leaf)[:, 0].sum(), leaf)
    for n in range(2):
        weights = gradient[n].float().flatten(1).mean(dim=1)
        assert result.volumes["gradcam"].dtype == np.float32
        expected = oracle.weighted_map(weights, activations[n].float()).numpy()
        np.testing.assert_allclose(result.volumes["gradcam"][n], expected, rtol=1e-5, atol=1e-6)
