"""Networks inside wrappers, layer names without the parts that wrappers add, and networks that cannot be explained."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import nn

from vidcam.errors import InputError

_WRAPPED: Mapping[str, str] = MappingProxyType(
    {
        "OptimizedModule": "_orig_mod",
        "DataParallel": "module",
        "DistributedDataParallel": "module",
        "FullyShardedDataParallel": "_fsdp_wrapped_module",
        "CheckpointWrapper": "_checkpoint_wrapped_module",
        "OffloadWrapper": "_checkpoint_wrapped_module",
    }
)
"""Class of a wrapper → its attribute that holds the wrapped module. Named, because importing these takes seconds."""

_NEEDED = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Wrappers that move weights or activations: a network runs inside them only."""

_ADDED = frozenset(_WRAPPED.values()) - {"module"}

_FLOAT_MODULES = ("FloatFunctional", "FXFloatFunctional")
"""Modules of torch's package for quantised networks that compute in floating point."""


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside `torch.compile`, `DataParallel` or `DistributedDataParallel`, nested or subclassed.

    Raises:
        InputError: a scripted or traced model, whose layers accept no hooks.
    """
    inside = model
    while (attribute := _wrapped_attribute(inside)) not in _NEEDED:
        wrapped = getattr(inside, attribute, None)
        if not isinstance(wrapped, nn.Module):
            break
        inside = wrapped
    if isinstance(inside, torch.jit.ScriptModule):
        raise InputError(
            f"model is of type {type(inside).__name__}, which accepts no hooks; "
            "pass the nn.Module that it was made from"
        )
    return inside


def require_explainable(network: nn.Module) -> None:
    """Refuse a network without weights, without layers or with layers that pass no gradient.

    Raises:
        InputError: it is on the meta device, a flat graph of `torch.export`, or quantised.
    """
    if any(parameter.is_meta for parameter in network.parameters()):
        raise InputError("model is on the meta device, which holds no weights; load them: model.to_empty(device=...)")
    if isinstance(network, torch.fx.GraphModule) and not _calls_layers(network):
        raise InputError(
            "model is a graph without layers, as torch.export makes it; pass the nn.Module that was exported, or "
            "torch.export.unflatten(program)"
        )
    name = next((name for name, module in network.named_modules() if _is_quantised(module)), None)
    if name is not None:
        raise InputError(f"layer {name!r} is quantised, so it passes no gradient; pass the float model")


def clean_name(name: str) -> str:
    """Return a layer's name without what wrappers add: 'trunk._orig_mod.0' → 'trunk.0'."""
    return ".".join(part for part in name.split(".") if part not in _ADDED)


def named_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return clean name → module; of a wrapper and what it wraps, the wrapper. The network itself is ''."""
    layers: dict[str, nn.Module] = {}
    clean_names: dict[str, str] = {}
    modules = dict(network.named_modules())
    for name, module in modules.items():
        parent, _, last = name.rpartition(".")
        is_wrapped = bool(name) and _wrapped_attribute(modules.get(parent, network)) == last
        above = clean_names.get(parent, "")
        clean_names[name] = above if is_wrapped else f"{above}.{last}".lstrip(".")
        layers.setdefault(clean_names[name], module)
    return layers


def _wrapped_attribute(model: nn.Module) -> str:
    """Return the attribute that holds the wrapped module, or ''."""
    names = (kind.__name__ for kind in type(model).__mro__)
    return next((_WRAPPED[name] for name in names if name in _WRAPPED), "")


def _calls_layers(graph: torch.fx.GraphModule) -> bool:
    """Whether a traced graph calls a module other than the guards that `torch.export` adds."""
    return any(node.op == "call_module" and node.target != "_guards_fn" for node in graph.graph.nodes)


def _is_quantised(module: nn.Module) -> bool:
    kind = type(module)
    parts = kind.__module__.split(".")
    return (
        parts[0] == "torch"
        and "quantized" in parts
        and "reference" not in parts
        and kind.__name__ not in _FLOAT_MODULES
    )
