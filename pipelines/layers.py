"""List the layers of a model that can carry a map."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn

from vidcam.cam.layers import Layer, list_layers
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.places import read_place
from vidcam.cam.reshape import reshape_of
from vidcam.errors import LayerError
from vidcam.models.registry import is_factory, load_model
from vidcam.pipelines.forward import plan_maps, torch_errors
from vidcam.preprocess import grey_input


def layer_rows(model: str, *, every: bool = False) -> list[dict[str, Any]]:
    """Return one row per layer that can carry a map, in order of execution; needs no trained weights.

    Args:
        model: name of a model, or 'package.module:factory'.
        every: also list layers inside blocks; else only the network's children and the items of its containers.
    """
    loaded = load_model(model, device="cpu", weights="pretrained" if is_factory(model) else "random")
    plan = plan_maps(loaded, DEFAULT_METHODS, ())
    spec, network, named = plan.model.spec, loaded.module, plan.layers
    with torch_errors(loaded, 1):
        available = list_layers(network, grey_input(spec), reshape=reshape_of(spec), axes=spec.input_axes)
    defaults = {read_place(name).name for name in named}
    listed = [layer for layer in available if every or _is_outer(network, layer.name) or layer.name in defaults]
    if not listed:  # such as a network that runs frame by frame
        advice = f"the default is {' + '.join(named)}: its runs are stacked as time"
        raise LayerError(f"no single run of a layer of {model!r} has a grid in space and time; {advice}")
    return [_row(layer, defaults) for layer in listed]


def _row(layer: Layer, defaults: Collection[str]) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "channels": layer.channels,
        "grid": list(layer.grid),
        "stride_frames": layer.stride[0],
        "stride_pixels": list(layer.stride[1:]),
        "default": layer.name in defaults,
    }


def _is_outer(module: nn.Module, name: str) -> bool:
    """Check that all parents of a layer, except the network, are containers."""
    parents = name.split(".")[:-1]
    holders = [module.get_submodule(".".join(parents[: depth + 1])) for depth in range(len(parents))]
    return all(isinstance(holder, nn.Sequential | nn.ModuleList | nn.ModuleDict) for holder in holders)
