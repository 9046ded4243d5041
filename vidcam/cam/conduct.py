"""Leave a model exactly as it was: training flags, hooks, random state, grad mode, autocast, compiled or not.

Every touch of a model by the core happens inside `untouched`. A model in training mode is switched to evaluation for
the time of the call, module by module, and switched back: batch normalisation would otherwise mix the clips of a batch
and change its running statistics, and dropout would make the map random.

Compiled parts run uncompiled meanwhile, because compiled code does not see hooks that are added later. The wrappers of
`torch.compile`, `DataParallel` and `DistributedDataParallel` are looked through (`unwrapped`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import cast

import torch
from torch import nn

from vidcam.errors import InputError

_COMPILED = "OptimizedModule"
_WRAPPED_IN = {_COMPILED: "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, `DataParallel` or `DistributedDataParallel`; others as they are.

    Raises:
        InputError: a scripted or traced model, whose layers take no hooks.
    """
    inside = model
    while attribute := _WRAPPED_IN.get(type(inside).__name__):
        inside = cast("nn.Module", getattr(inside, attribute))
    if isinstance(inside, torch.jit.ScriptModule):
        raise InputError(
            f"the model is a {type(inside).__name__}, expected an nn.Module whose layers can be watched; "
            f"pass the network that it was made from"
        )
    return inside


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Run `model` in evaluation mode without gradients; restore flags, random state and grad mode afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    caching = torch.is_autocast_cache_enabled()
    eager = torch.compiler.set_stance("force_eager") if _is_compiled(model) else nullcontext()
    try:
        torch.set_autocast_cache_enabled(False)  # weights cast without a graph here would serve the caller's training
        for module, _ in flags:
            module.training = False
        with eager, torch.random.fork_rng(devices=devices), torch.inference_mode(mode=False), torch.no_grad():
            yield
    finally:
        torch.set_autocast_cache_enabled(caching)
        for module, flag in flags:
            module.training = flag


def _is_compiled(model: nn.Module) -> bool:
    """Whether any part is compiled; asked first, because importing the compiler takes seconds."""
    return any(
        type(module).__name__ == _COMPILED or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
