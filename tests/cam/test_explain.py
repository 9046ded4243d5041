"""The core as a whole: against three autograd derivatives, by identities, and by how it leaves the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tests.helpers import oracle
from tests.helpers.nets import BrightnessNet, HiddenHead, PooledHead, random_clip, seeded
from vidcam.cam.attribution import attribution
from vidcam.cam.explain import explain
from vidcam.cam.network import require_finite
from vidcam.cam.request import MapRequest
from vidcam.errors import InputError, LayerError, NameNotFoundError, NonFiniteError, ShapeError

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


def test_by_hand() -> None:
    """g = 1 everywhere, so gradcam is A itself and gradcam++ is A · n / (2 + ΣA) with n cells."""
    clip = torch.zeros(1, 3, 4, 16, 16)
    clip[:, :, :, :8, 8:] = 1.0
    result = explain(BrightnessNet(), clip, layer="relu", methods=ALL, target=0)
    expected = np.array([[[[0.0, 1.0], [0.0, 0.0]]]], dtype=np.float32)
    np.testing.assert_allclose(result.volumes["gradcam"], expected)
    np.testing.assert_allclose(result.volumes["gradcam+"], expected)
    np.testing.assert_allclose(result.volumes["gradcam++"], expected * (4 / 3))
    assert result.logits.tolist() == [[1.0, -1.0]]


def test_without_positive_evidence_the_map_is_zero_and_flagged() -> None:
    result = explain(BrightnessNet(), torch.ones(1, 3, 4, 16, 16), layer="relu", methods=ALL, target=1)
    for method in ALL:
        assert result.empty[method].tolist() == [True]
        assert not result.heat(method).any()


def test_batch_equals_one_by_one() -> None:
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


def test_pooled_head_makes_the_gradient_uniform() -> None:
    net = seeded(PooledHead)
    audit = explain(net, random_clip(2, 3, 4, 8, 8), layer="block2").alpha["gradcam++"]
    assert audit.uniform.tolist() == [True, True]
    audit = explain(_hidden(), _clip(), layer="relu").alpha["gradcam++"]
    assert audit.uniform.tolist() == [False, False]


def test_the_default_layer_is_the_last_with_an_extent() -> None:
    assert explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8)).layer == "block2"
    assert explain(_hidden(), _clip(1)).layer == "after"


def test_foil_explains_the_difference() -> None:
    net, clip = _hidden(), _clip(1)
    with torch.no_grad():
        contrast = nn.Linear(12, 4).double()
        contrast.weight.copy_(net.out.weight - net.out.weight[1:2])
        contrast.bias.copy_(net.out.bias - net.out.bias[1])
    result = explain(net, clip, layer="relu", methods=ALL, target=2, foil=1)
    net.out = contrast
    expected = explain(net, clip, layer="relu", methods=ALL, target=2)
    for method in ALL:
        np.testing.assert_allclose(result.volumes[method], expected.volumes[method], atol=1e-12)
    assert result.foil is not None
    assert result.foil.tolist() == [1]


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


def test_alpha_is_exact_on_piecewise_linear_heads_only() -> None:
    assert explain(_hidden(), _clip(), layer="relu").alpha_exact is True
    assert explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8), layer="block2").alpha_exact is True
    assert explain(seeded(_GeluHead).double(), _clip(), layer="relu").alpha_exact is False
    assert explain(_hidden(), _clip(), layer="relu", methods=["gradcam"]).alpha_exact is None


class _TimeLogits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)

    def forward(self, clip: Tensor) -> Tensor:
        return torch.relu(self.conv(clip)).mean(dim=(3, 4))  # (N, K, T)


def test_logits_over_time_are_averaged() -> None:
    net, clip = _TimeLogits(), random_clip(2, 3, 4, 6, 6)
    result = explain(net, clip, layer="conv")
    np.testing.assert_allclose(result.logits, net(clip).mean(dim=2).detach().numpy(), rtol=1e-6)


# ---- conduct


class _State:
    """All that explaining must leave alone."""

    def __init__(self, net: nn.Module, clip: Tensor) -> None:
        self.net, self.clip = net, clip
        self.flags = [module.training for module in net.modules()]
        self.buffers = [tensor.clone() for tensor in (*net.parameters(), *net.buffers(), clip)]
        self.frozen = [parameter.requires_grad for parameter in net.parameters()]
        self.random = torch.get_rng_state()
        self.grad_mode = torch.is_grad_enabled()

    def check_unchanged(self) -> None:
        assert self.flags == [module.training for module in self.net.modules()]
        now = (*self.net.parameters(), *self.net.buffers(), self.clip)
        assert all(torch.equal(before, after) for before, after in zip(self.buffers, now, strict=True))
        assert self.frozen == [parameter.requires_grad for parameter in self.net.parameters()]
        assert all(parameter.grad is None for parameter in self.net.parameters())
        assert all(not module._forward_hooks and not module._backward_hooks for module in self.net.modules())
        assert torch.equal(self.random, torch.get_rng_state())
        assert self.grad_mode == torch.is_grad_enabled()


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(training: bool) -> None:
    net, clip = seeded(PooledHead).train(training), random_clip(2, 3, 4, 8, 8)
    net.get_submodule("block1").eval()  # one flag that differs from the others
    state = _State(net, clip)
    explain(net, clip, methods=ALL)
    state.check_unchanged()


def test_a_model_in_training_mode_is_explained_in_evaluation_mode() -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    training = explain(net.train(), clip, layer="block2")
    evaluation = explain(net.eval(), clip, layer="block2")
    np.testing.assert_array_equal(training.volumes["gradcam++"], evaluation.volumes["gradcam++"])


def _fail(*_: object, **__: object) -> Tensor:
    raise RuntimeError("planted")


BREAKERS: dict[str, Callable[[pytest.MonkeyPatch, nn.Module], None]] = {
    "in the trunk": lambda patch, net: patch.setattr(net.get_submodule("block1"), "forward", _fail),
    "in the layer": lambda patch, net: patch.setattr(net.get_submodule("block2"), "forward", _fail),
    "in the head": lambda patch, net: patch.setattr(net.get_submodule("fc"), "forward", _fail),
    "in the backward": lambda patch, net: patch.setattr("torch.autograd.grad", _fail),
    "in the weights": lambda patch, net: patch.setattr("vidcam.cam.methods.combine", _fail),
    "in the audit": lambda patch, net: patch.setattr("vidcam.cam.methods.audit_alpha", _fail),
    "in a hook's registration": lambda patch, net: patch.setattr(
        net.get_submodule("block2"), "register_forward_hook", _fail
    ),
}


@pytest.mark.parametrize("where", BREAKERS)
def test_the_model_is_left_as_it_was_after_an_exception(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, clip = seeded(PooledHead).train(), random_clip(2, 3, 4, 8, 8)
    state = _State(net, clip)
    with monkeypatch.context() as patch:
        BREAKERS[where](patch, net)
        with pytest.raises(RuntimeError, match="planted"):
            explain(net, clip, layer="block2")
    state.check_unchanged()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_inside_no_grad_and_inference_mode(mode: Callable[[], torch.no_grad]) -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2").volumes["gradcam++"]
    with mode():
        inner = random_clip(1, 3, 4, 8, 8)
        np.testing.assert_array_equal(explain(net, inner, layer="block2").volumes["gradcam++"], expected)


def test_works_with_frozen_weights() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2").volumes["gradcam++"]
    result = explain(net.requires_grad_(False), clip, layer="block2")
    np.testing.assert_array_equal(result.volumes["gradcam++"], expected)


def test_the_trunk_builds_no_graph() -> None:
    net, seen = seeded(PooledHead), []
    handle = net.get_submodule("block1").register_forward_hook(lambda _m, _i, out: seen.append(out.requires_grad))
    explain(net, random_clip(1, 3, 4, 8, 8), layer="block2")
    handle.remove()
    assert seen == [False]


# ---- refusals


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layer": "block9"}, NameNotFoundError, r"layer 'block9' not found; the nearest are 'block2', 'block1'"),
        ({"layer": "fc"}, LayerError, r"layer 'fc' returns \(1, 4\) for an input of \(1, 3, 4, 8, 8\)"),
        ({"layer": "pool"}, LayerError, "layer 'pool' has one cell only, expected a grid in space or time"),
        ({"methods": ["gradcan"]}, NameNotFoundError, r"method 'gradcan' not found; the nearest are 'gradcam'"),
        ({"methods": []}, InputError, "no method was given, expected at least one of gradcam"),
        ({"target": 4}, InputError, "target is 4, expected class indices from 0 to 3"),
        ({"target": -1}, InputError, "target is -1, expected class indices from 0 to 3"),
        ({"target": [0, 1]}, ShapeError, "one class or one for each of the 1 clips"),
    ],
)
def test_bad_arguments(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8), **options)  # type: ignore[arg-type]


def test_slashes_are_taken_for_dots() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    np.testing.assert_array_equal(
        explain(net, clip, layer="block2/2").volumes["gradcam"], explain(net, clip, layer="block2.2").volumes["gradcam"]
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_found_among_others_and_a_large_sum_is_none(bad: float) -> None:
    large = torch.full((2, 3, 4), 3e38)
    require_finite(large, "the numbers")
    large[1, 2, 3] = bad
    with pytest.raises(NonFiniteError, match="the numbers contain NaN or infinity"):
        require_finite(large, "the numbers")


def test_numbers_that_are_not_finite_are_refused() -> None:
    clip = random_clip(1, 3, 4, 8, 8)
    clip[0, 0, 0, 0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match="the logits contain NaN or infinity"):
        explain(seeded(PooledHead), clip, layer="block2")


class _Odd(nn.Module):
    def __init__(self, what: str) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.unused = nn.Conv3d(3, 4, 3, padding=1)
        self.what = what

    def forward(self, clip: Tensor) -> object:
        features = self.conv(clip)
        if self.what == "twice":
            features = features + self.conv(clip)
        if self.what == "cut":
            features = features.detach()
        scores = features.mean(dim=(2, 3, 4))
        return {"dict": {"scores": scores}, "map": features}.get(self.what, scores)


@pytest.mark.parametrize(
    ("what", "layer", "error", "message"),
    [
        ("twice", "conv", LayerError, "layer 'conv' runs more than once"),
        ("cut", "conv", LayerError, "the score does not depend on layer 'conv'"),
        ("plain", "unused", LayerError, "layer 'unused' did not run"),
        ("dict", "conv", ShapeError, r"the model returns dict, expected logits"),
        ("map", "conv", ShapeError, r"the model returns a tensor of shape \(1, 4, 2, 5, 5\)"),
    ],
)
def test_odd_networks_are_refused(what: str, layer: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(_Odd(what), random_clip(1, 3, 2, 5, 5), layer=layer)


# ---- numbers that cannot be trusted, and heads that cannot be told


class _Root(nn.Module):
    """Scores are sums of √A: finite, but with an infinite gradient where A is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.relu(clip).sqrt().sum(dim=(2, 3, 4))
        return scores


def test_gradients_that_are_not_finite_are_refused_where_logits_are_finite() -> None:
    clip = torch.full((1, 3, 2, 4, 4), 4.0)
    assert explain(_Root(), clip, layer="relu", target=0).volumes["gradcam"].max() == 1.0  # g = 1/4, A = 4
    clip[0, 0, 0, 0, 0] = 0.0
    with pytest.raises(NonFiniteError, match="the gradients at layer 'relu' contain NaN or infinity, expected finite"):
        explain(_Root(), clip, layer="relu", target=0)


class _Derivative(torch.autograd.Function):
    """2x · g, as an operation that torch cannot differentiate (the backward of fused attention is one)."""

    @staticmethod
    def forward(context: Any, x: Tensor, gradient: Tensor) -> Tensor:
        return 2 * x * gradient

    @staticmethod
    def backward(context: Any, *_: Tensor) -> Tensor:
        raise NotImplementedError("derivative for square_backward is not implemented")


class _Square(torch.autograd.Function):
    """x², differentiable once: a second time fails with torch's error."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:
        return _Derivative.apply(*context.saved_tensors, gradient)


class _SquareMarkedOnce(torch.autograd.Function):
    """x² as its author marks what is differentiable once: a second time, torch cuts the graph."""

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
def test_a_head_that_is_differentiable_once_only_is_explained(net: type[HiddenHead]) -> None:
    built, clip = seeded(net).double(), _clip()
    result = explain(built, clip, layer="relu", methods=ALL, target=1)
    assert isinstance(built, _SquareHead)
    leaf = built.relu(built.conv(clip)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(built.out(built.hidden(leaf.flatten(1)) ** 2)[:, 1].sum(), leaf)
    for n in range(2):
        expected = oracle.weighted_map(gradient[n].flatten(1).mean(dim=1), leaf.detach()[n]).numpy()
        np.testing.assert_allclose(result.volumes["gradcam"][n], expected, rtol=1e-9, atol=1e-12)


def test_whether_alpha_is_exact_is_not_told_of_a_head_that_cannot_be_differentiated_twice() -> None:
    assert explain(seeded(_SquareHead).double(), _clip(), layer="relu", target=1).alpha_exact is None


def test_whether_alpha_is_exact_is_not_told_where_once_differentiable_cuts_the_graph() -> None:
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


class _Ending(nn.Module):
    """A network with a softmax, or another last step, after its linear layer."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.end = seeded(PooledHead), end

    def forward(self, clip: Tensor) -> Tensor:
        return self.end(self.net(clip))


def _of_two_views(scores: Tensor) -> Tensor:
    return (scores.softmax(dim=1) + (2 * scores).softmax(dim=1)) / 2


def _written_out(scores: Tensor) -> Tensor:
    """A softmax that is not called one."""
    return scores.exp() / scores.exp().sum(dim=1, keepdim=True)


def test_probabilities_are_refused() -> None:
    message = r"the model returns probabilities \(each row adds up to 1\), expected logits, because"
    for dtype in (torch.float32, torch.float64):
        net, clip = _Ending(_of_two_views).to(dtype), random_clip(2, 3, 4, 8, 8, dtype=dtype)
        with pytest.raises(InputError, match=message):
            explain(net, clip, layer="net.block2")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda scores: scores.log_softmax(dim=1), id="log probabilities"),
        pytest.param(
            lambda scores: 9 * (scores - scores.mean(dim=1, keepdim=True)) + 0.25, id="rows of 1 with negatives"
        ),
        pytest.param(lambda scores: _written_out(scores) * 1.001, id="rows of 1.001"),
        pytest.param(lambda scores: _written_out(scores) * scores.new_tensor([[1.0], [2.0]]), id="one row of 1"),
        pytest.param(lambda scores: scores[:, :1] * 0 + 1, id="a single class"),
    ],
)
def test_what_only_resembles_probabilities_is_explained(end: Callable[[Tensor], Tensor]) -> None:
    assert len(explain(_Ending(end), random_clip(2, 3, 4, 8, 8), layer="net.block2", target=0)) == 2


class _ChannelsLast(nn.Module):
    """Features as (N, t, h, w, D) after the last convolution, as video transformers keep them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 16, 3, padding=1)
        self.last = nn.Identity()
        self.fc = nn.Linear(16, 4)

    def forward(self, clip: Tensor) -> Tensor:
        features = self.last(torch.relu(self.conv(clip)).permute(0, 2, 3, 4, 1))
        scores: Tensor = self.fc(features.mean(dim=(1, 2, 3)))
        return scores


def test_channels_last_features_are_refused_and_never_chosen_by_default() -> None:
    net, clip = seeded(_ChannelsLast), random_clip(1, 3, 4, 8, 8)
    message = r"layer 'last' returns \(1, 4, 8, 8, 16\) for an input of \(1, 3, 4, 8, 8\), expected \(N, D, \.\.\.\)"
    with pytest.raises(LayerError, match=message):
        explain(net, clip, layer="last")
    assert explain(net, clip).layer == "conv"
