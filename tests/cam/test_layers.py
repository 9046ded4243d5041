from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from vidcam.cam.layers import Layer, default_layer, find_layer, list_layers
from vidcam.errors import LayerError, NameNotFoundError


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


def test_pooled_and_flat_outputs_are_no_layers() -> None:
    names = {layer.name for layer in list_layers(seeded(HiddenHead), random_clip(1, 3, 3, 4, 4))}
    assert names == {"conv", "relu", "after"}


def test_a_layer_that_lost_its_time_axis_is_no_layer() -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.MaxPool3d((4, 1, 1)), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    layers = list_layers(net, random_clip(1, 3, 4, 6, 6))
    assert default_layer(layers) == "0"
    assert default_layer(list_layers(net, random_clip(1, 3, 4, 6, 6)[:, :, :4])) == "0"


def test_listing_leaves_no_hooks() -> None:
    net = seeded(PooledHead).train()
    list_layers(net, random_clip(1, 3, 4, 8, 8))
    assert all(not module._forward_hooks for module in net.modules())
    assert all(module.training for module in net.modules())


def test_no_layer_at_all() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    with pytest.raises(LayerError, match="no layer has an extent in space and time"):
        default_layer(list_layers(net, torch.zeros(1, 3, 2, 2, 2)))


@pytest.mark.parametrize("name", ["block2.2", "block2/2", "/block2/2/"])
def test_names(name: str) -> None:
    net = seeded(PooledHead)
    assert find_layer(net, name) is net.get_submodule("block2.2")


@pytest.mark.parametrize("name", ["", ".", "Block2.2", "block2.7"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(NameNotFoundError, match="it must be one of the 11 modules of the network"):
        find_layer(seeded(PooledHead), name)
