"""Leave a model exactly as it was: training flags, hooks, random state, grad mode.

Every touch of a model by the core happens inside `untouched`. A model in training mode is switched to evaluation for
the time of the call, module by module, and switched back: batch normalisation would otherwise mix the clips of a batch
and change its running statistics, and dropout would make the map random.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Run `model` in evaluation mode without gradients; restore flags, random state and grad mode afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    try:
        for module, _ in flags:
            module.training = False
        with torch.random.fork_rng(devices=devices), torch.inference_mode(mode=False), torch.no_grad():
            yield
    finally:
        for module, flag in flags:
            module.training = flag
