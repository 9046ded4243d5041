"""Maps that are trained through: the numbers of `explain`, their derivatives, and a network that is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import vidcam
from tests.helpers.conduct import State
from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from tests.helpers.networks import CHEAP
from vidcam.cam.differentiable import differentiable_maps
from vidcam.errors import InputError, LayerError, NameNotFoundError, ShapeError

CLIPS = random_clip(3, 3, 3, 4, 4)
TARGETS = torch.tensor([1, 3, 0])


class Weighted(nn.Module):
    """A 3-D CNN with a curved head, whose weights are ordinary tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.weights: Sequence[Tensor] = ()

    def forward(self, clip: Tensor) -> Tensor:
        convolution, hidden, classes = self.weights
        features = self.relu(functional.conv3d(clip, convolution, padding=(1, 0, 0)))
        logits: Tensor = torch.tanh(features.flatten(1) @ hidden) @ classes
        return logits


def weights_of(seed: int) -> tuple[Tensor, ...]:
    """Convolution (2, 1, 3, 1, 1), hidden (2·8, 2) and classes (2, 2), float64, with a graph."""
    sizes = ((2, 1, 3, 1, 1), (16, 2), (2, 2))
    drawn = (random_clip(*size, seed=seed + n, dtype=torch.float64) for n, size in enumerate(sizes))
    return tuple((0.6 * weight).requires_grad_() for weight in drawn)


@pytest.mark.parametrize("create_graph", [True, False])
@pytest.mark.parametrize("network", ["hidden", "hidden, in place", "pooled"])
def test_the_numbers_are_those_of_explain(network: str, create_graph: bool) -> None:
    if network == "pooled":
        net, clips, layer = seeded(PooledHead).eval(), random_clip(3, 3, 4, 8, 8), "block2"
    else:
        net, clips, layer = seeded(HiddenHead, inplace="in place" in network).eval(), CLIPS, "relu"
    found = differentiable_maps(net, clips, TARGETS, methods=CHEAP, layer=layer, create_graph=create_graph)
    explained = vidcam.explain(net, clips, methods=CHEAP, target=TARGETS.tolist(), layer=layer)
    for method in CHEAP:
        assert found.maps[method].requires_grad == create_graph
        np.testing.assert_allclose(found.maps[method].detach(), explained.volumes[method], rtol=1e-6, atol=1e-6)
        assert explained.volumes[method].max() > 0
    np.testing.assert_allclose(found.logits.detach(), explained.logits, rtol=1e-6)


def test_a_model_has_a_default_layer_and_no_target_is_the_predicted_class() -> None:
    model = vidcam.load_model("tiny_c3d", device="cpu")
    clips = random_clip(2, 3, 16, 64, 64)
    found = differentiable_maps(model, clips, create_graph=False)
    assert found.layer == "relu4"
    explained = vidcam.explain(model, clips)
    np.testing.assert_allclose(found.maps["gradcam"], explained.volumes["gradcam"], rtol=1e-6, atol=1e-6)
    assert differentiable_maps(seeded(PooledHead), random_clip(1, 3, 4, 8, 8)).layer == "block2"


@pytest.mark.parametrize("method", CHEAP)
def test_first_and_second_derivatives_by_the_weights(method: str) -> None:
    net, clips = Weighted(), random_clip(2, 1, 2, 2, 2, seed=5, dtype=torch.float64)

    def map_of(*weights: Tensor) -> Tensor:
        net.weights = weights
        return differentiable_maps(net, clips, [0, 1], methods=method, layer="relu").maps[method]

    weights = weights_of(11)
    assert bool(map_of(*weights).detach().flatten(1).any(dim=1).all()), "a map without evidence shows nothing"
    assert torch.autograd.gradcheck(map_of, weights)
    assert torch.autograd.gradgradcheck(map_of, weights)


def test_the_derivative_reaches_trunk_and_head() -> None:
    net = seeded(HiddenHead)
    found = differentiable_maps(net, CLIPS, TARGETS, methods="gradcam++", layer="relu")
    found.maps["gradcam++"].square().sum().backward()
    for name in ("conv.weight", "hidden.weight", "out.weight"):
        gradient = net.get_parameter(name).grad
        assert gradient is not None
        assert bool(gradient.any()), name
    assert net.get_parameter("out.bias").grad is None  # g does not depend on it


def test_weights_of_classes_make_the_score_a_sum() -> None:
    net = seeded(HiddenHead)
    present = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [0.5, 0, 0, -1]])
    found = differentiable_maps(net, CLIPS, present, methods="hirescam", layer="relu", create_graph=False)
    leaf = net.relu(net.conv(CLIPS)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad((net.head(leaf) * present).sum(), leaf)
    torch.testing.assert_close(found.maps["hirescam"], (gradient * leaf).sum(dim=1).relu().detach())


def test_nothing_stays_on_the_network() -> None:
    net = seeded(HiddenHead).train()
    state = State(net, CLIPS)
    differentiable_maps(net, CLIPS, 1, layer="relu")
    state.check_unchanged()


def test_without_a_graph_the_network_is_evaluated_and_put_back() -> None:
    net, clips = seeded(PooledHead).train(), random_clip(2, 3, 4, 8, 8)
    state = State(net, clips)
    found = differentiable_maps(net, clips, 1, layer="block2", create_graph=False)
    state.check_unchanged()
    assert not found.logits.requires_grad
    assert not found.activations.requires_grad


def test_nothing_stays_after_an_error() -> None:
    net, clips = seeded(HiddenHead), random_clip(2, 5, 3, 4, 4)
    state = State(net, clips)
    with pytest.raises(RuntimeError):
        differentiable_maps(net, clips, 1, layer="relu")  # five colours
    state.check_unchanged()


def test_training_mode_is_kept() -> None:
    clips, nets = random_clip(4, 3, 4, 8, 8), [seeded(PooledHead).train() for _ in range(2)]
    torch.manual_seed(3)
    plain = nets[0](clips)
    torch.manual_seed(3)
    found = differentiable_maps(nets[1], clips, 1, layer="block2")
    torch.testing.assert_close(found.logits, plain)  # the same dropout, the same batch statistics
    torch.testing.assert_close(nets[1].block1[1].running_mean, nets[0].block1[1].running_mean)
    assert int(nets[1].block1[1].num_batches_tracked) == 1


def test_autocast_makes_maps_in_float32_and_finite_gradients() -> None:
    net = seeded(HiddenHead)
    exact = differentiable_maps(net, CLIPS, TARGETS, methods="gradcam++", layer="relu").maps["gradcam++"]
    with torch.autocast("cpu", torch.bfloat16):
        found = differentiable_maps(net, CLIPS, TARGETS, methods="gradcam++", layer="relu")
        assert torch.is_autocast_enabled("cpu")
        loss = found.maps["gradcam++"].square().sum() + functional.cross_entropy(found.logits, TARGETS)
    assert found.maps["gradcam++"].dtype == torch.float32
    torch.testing.assert_close(found.maps["gradcam++"], exact, rtol=0.05, atol=0.02 * float(exact.detach().max()))
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())


def test_a_frozen_trunk_still_trains_the_head() -> None:
    net = seeded(HiddenHead)
    net.conv.requires_grad_(False)
    differentiable_maps(net, CLIPS, TARGETS, layer="relu").maps["gradcam"].sum().backward()
    assert net.conv.weight.grad is None
    assert bool(net.get_parameter("hidden.weight").grad.any())


def test_compiled_networks_run_uncompiled() -> None:
    net = seeded(HiddenHead)
    compiled: Any = torch.compile(net, backend="eager")
    found = differentiable_maps(compiled, CLIPS, TARGETS, layer="relu")
    torch.testing.assert_close(found.maps, differentiable_maps(net, CLIPS, TARGETS, layer="relu").maps)


class Twice(nn.Module):
    """One ReLU that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv3d(3, 3, 1), nn.ReLU(), nn.Linear(3, 4)

    def forward(self, clip: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.relu(self.relu(self.conv(clip)) - 1).mean(dim=(2, 3, 4)))
        return logits


def test_refusals() -> None:
    net = seeded(HiddenHead)
    with pytest.raises(InputError, match="gradients are off"), torch.no_grad():
        differentiable_maps(net, CLIPS, TARGETS, layer="relu")
    with pytest.raises(InputError, match="rise"):
        differentiable_maps(net, CLIPS, TARGETS, methods="rise", layer="relu")
    with pytest.raises(ShapeError, match=r"\(3, 5\)"):
        differentiable_maps(net, CLIPS, torch.ones(3, 5), layer="relu")
    with pytest.raises(InputError, match="class indices"):
        differentiable_maps(net, CLIPS, 4, layer="relu")
    with pytest.raises(NameNotFoundError, match="'rely' not found"):
        differentiable_maps(net, CLIPS, TARGETS, layer="rely")
    with pytest.raises(LayerError, match="runs 2 times"):
        differentiable_maps(seeded(Twice), CLIPS, TARGETS, layer="relu")
    with pytest.raises(LayerError):
        differentiable_maps(net, CLIPS, TARGETS, layer="hidden")
