"""`layers`: what a network offers to look at."""

from __future__ import annotations

from typing import Any

from torch import nn

from vidcam.cam.layers import Layer, default_layer, list_layers
from vidcam.cam.reshape import reshape_of
from vidcam.models.registry import is_factory, load_model
from vidcam.preprocess import grey_input


def layer_rows(model: str, *, every: bool = False) -> list[dict[str, Any]]:
    """One row a layer that can carry a map, in order of execution; needs no trained weights.

    Args:
        model: name, or 'package.module:factory'.
        every: also what lies inside blocks; otherwise the network's own children and what stands in its lists.
    """
    loaded = load_model(model, device="cpu", weights="pretrained" if is_factory(model) else "random")
    found = list_layers(loaded.module, grey_input(loaded.spec), reshape=reshape_of(loaded.spec))
    default = loaded.spec.layer or default_layer(found)
    chosen = [layer for layer in found if every or _is_outer(loaded.module, layer.name) or layer.name == default]
    return [_row(layer, default) for layer in chosen]


def _row(layer: Layer, default: str) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "channels": layer.channels,
        "grid": list(layer.grid),
        "stride_frames": layer.stride[0],
        "stride_pixels": list(layer.stride[1:]),
        "default": layer.name == default,
    }


def _is_outer(module: nn.Module, name: str) -> bool:
    """Whether only containers stand between the network and the layer."""
    parents = name.split(".")[:-1]
    holders = [module.get_submodule(".".join(parents[: depth + 1])) for depth in range(len(parents))]
    return all(isinstance(holder, nn.Sequential | nn.ModuleList | nn.ModuleDict) for holder in holders)
