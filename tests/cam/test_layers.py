from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.cam.layers import Layer, default_layer, find_layer, list_layers
from vidcam.errors import InputError, LayerError, NameNotFoundError


def test_layers_in_order_with_grid_and_stride() -> None:
    layers = list_layers(seeded(PooledHead), random_clip(1, 3, 4, 8, 12))
    assert [layer.name for layer in layers] == [
        "block1.0",
        "block1.1",
        "block1.2",
        "block1",
        "block2.0",
        "block2.1",
        "block2.2",
        "block2",
        "dropout",
    ]
    assert layers[-2] == Layer("block2", "Sequential", 8, (2, 4, 6), (2.0, 2.0, 2.0))


def test_pooled_and_flat_outputs_are_not_listed() -> None:
    names = {layer.name for layer in list_layers(seeded(HiddenHead), random_clip(1, 3, 3, 4, 4))}
    assert names == {"conv", "relu", "after"}


def test_a_layer_without_time_axis_is_not_listed() -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.MaxPool3d((4, 1, 1)), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    layers = list_layers(net, random_clip(1, 3, 4, 6, 6))
    assert default_layer(layers) == "0"
    assert default_layer(list_layers(net, random_clip(1, 3, 4, 6, 6)[:, :, :4])) == "0"


def test_listing_leaves_no_hooks() -> None:
    net = seeded(PooledHead).train()
    list_layers(net, random_clip(1, 3, 4, 8, 8))
    assert all(not module._forward_hooks for module in net.modules())
    assert all(module.training for module in net.modules())


def test_no_layer_with_a_grid() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    with pytest.raises(LayerError, match="no layer has a grid in space and time"):
        default_layer(list_layers(net, torch.zeros(1, 3, 2, 2, 2)))


@pytest.mark.parametrize("name", ["block2.2", "block2/2", "/block2/2/"])
def test_layer_names(name: str) -> None:
    net = seeded(PooledHead)
    assert find_layer(net, name) is net.get_submodule("block2.2")


@pytest.mark.parametrize("name", ["", ".", "Block2.2", "block2.7"])
def test_unknown_layer(name: str) -> None:
    with pytest.raises(NameNotFoundError, match="the network has 11 layers"):
        find_layer(seeded(PooledHead), name)


class Flat(nn.Module):
    """A network without blocks: convolution, ReLU and so on as attributes, like C3D."""

    def __init__(self, *, inplace: bool = False, is_shared: bool = False) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.other = self.relu if is_shared else nn.ReLU(inplace=inplace)
        self.drop, self.same, self.fc = nn.Dropout3d(), nn.Identity(), nn.Linear(4, 3)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        features = self.other(self.conv2(self.relu(self.conv1(clip))))
        scores: torch.Tensor = self.fc(self.same(self.drop(features)).mean(dim=(2, 3, 4)))
        return scores


@pytest.mark.parametrize("inplace", [False, True])
def test_the_default_is_after_the_relu_and_before_dropout(inplace: bool) -> None:
    layers = list_layers(seeded(Flat, inplace=inplace), random_clip(1, 3, 4, 6, 6))
    assert [layer.name for layer in layers if not layer.is_computed] == ["drop", "same"]
    assert default_layer(layers) == "other"


@pytest.mark.parametrize("inplace", [False, True])
def test_the_last_run_of_a_shared_relu_is_the_default(inplace: bool) -> None:
    net, clip = seeded(Flat, inplace=inplace, is_shared=True), random_clip(1, 3, 4, 6, 6)
    assert {layer.name: layer.runs for layer in list_layers(net, clip)}["relu"] == 2
    shared, own = explain(net, clip), explain(seeded(Flat, inplace=inplace), clip)
    assert (shared.layer, own.layer) == ("relu#1", "other")
    np.testing.assert_array_equal(shared.volumes["gradcam"], own.volumes["gradcam"])


def test_a_layer_without_gradient_raises_and_another_is_suggested() -> None:
    class Beside(Flat):
        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            features = self.relu(self.conv1(clip))
            self.other(self.conv2(features))  # its output is not used
            scores: torch.Tensor = self.fc(features.mean(dim=(2, 3, 4)))
            return scores

    net, clip = seeded(Beside), random_clip(2, 3, 4, 6, 6)
    message = r"the score does not depend on layer 'other' .*; choose another layer, such as 'relu'"
    with pytest.raises(LayerError, match=message):
        explain(net, clip, layer="other")
    default = explain(net, clip)
    assert (default.layer, default.volumes["gradcam"].max() > 0) == ("relu", True)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize("channels", [4, 8])
def test_the_suggested_layer_has_as_many_channels(channels: int) -> None:
    """A layer with queries, keys and values is three times as wide as the tokens and not suggested."""

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.narrow, self.wide = nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(4, 8, 3, padding=1)
            self.dead, self.fc = nn.Conv3d(8, channels, 3, padding=1), nn.Linear(8, 3)

        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            features = self.wide(self.narrow(clip))
            self.dead(features)
            scores: torch.Tensor = self.fc(features.mean(dim=(2, 3, 4)))
            return scores

    with pytest.raises(LayerError, match=f"such as '{'narrow' if channels == 4 else 'wide'}'"):
        explain(seeded(Wide), random_clip(1, 3, 4, 6, 6), layer="dead")


def test_a_network_that_cuts_its_gradients() -> None:
    class Cut(Flat):
        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            return super().forward(clip).detach()

    with pytest.raises(LayerError, match=r"or the gradient is cut by no_grad or detach\); choose another"):
        explain(seeded(Cut), random_clip(1, 3, 4, 6, 6), layer="other")


def test_the_default_is_on_the_last_grid_and_nonnegative() -> None:
    layers = [
        Layer("early", "ReLU", 4, (4, 4, 4), (1, 1, 1)),
        Layer("late", "Conv3d", 4, (2, 2, 2), (2, 2, 2), is_nonnegative=False),
    ]
    assert default_layer(layers) == "late"
    assert default_layer([*layers, Layer("same", "Identity", 4, (2, 2, 2), (2, 2, 2), is_computed=False)]) == "late"
    assert default_layer([Layer("only", "Dropout", 4, (2, 2, 2), (1, 1, 1), is_computed=False)]) == "only"


def test_names_inside_compiled_parts_do_not_change() -> None:
    net = seeded(PooledHead)
    inner = net.get_submodule("block2.2")
    holder = type("OptimizedModule", (nn.Module,), {})()
    holder._orig_mod = net.get_submodule("block2")
    net.block2 = holder
    assert find_layer(net, "block2.2") is inner
    assert find_layer(net, "block2._orig_mod.2") is inner
    assert find_layer(net, "block2") in (holder, holder._orig_mod)


class NormalisedFirst(nn.Module):
    """x + branch(x), with normalisation and ReLU before each convolution; the last ReLU is a function."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 3, padding=1)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, 4, 3, padding=1)) for _ in range(2)
        )
        self.norm = nn.BatchNorm3d(4)
        self.fc = nn.Linear(4, 3)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        features = self.stem(clip)
        for branch in self.branches:
            features = features + branch(features)
        scores: torch.Tensor = self.fc(torch.relu(self.norm(features)).mean(dim=(2, 3, 4)))
        return scores


def test_a_relu_inside_a_branch_is_not_the_default() -> None:
    """Such as `denselayer16.relu2` of a DenseNet, which is inside the last branch."""
    layers = list_layers(seeded(NormalisedFirst), random_clip(1, 3, 4, 6, 6))
    assert [layer.name for layer in layers if layer.is_nonnegative] == ["branches.0.1", "branches.1.1"]
    assert default_layer(layers) == "norm"


@pytest.mark.parametrize(("model", "kind"), [(None, "type NoneType"), (3, "type int"), (nn.ReLU, "the class ReLU")])
def test_what_is_no_model_is_refused(model: Any, kind: str) -> None:
    for clip in (None, torch.zeros(1, 3, 4, 6, 6)):
        with pytest.raises(InputError, match=rf"^model is (of )?{kind}"):
            list_layers(model, clip)
