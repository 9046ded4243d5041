"""Weights drawn anew, for the sanity checks of Adebayo et al. (arXiv:1810.03292), and put back afterwards.

A map that stays the same when the model has forgotten what it learned does not show what it learned. Cascading: the
last layer, then the one before it too, down to the first; independent: one layer alone. A tensor is drawn from a normal
distribution with its own mean and standard deviation, so that the numbers stay of the size that the network expects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


def weighted_layers(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules that hold parameters of their own with two axes or more, in order of definition."""
    return tuple(
        name
        for name, module in model.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    )


@contextmanager
def randomised(model: nn.Module, layers: Sequence[str], *, seed: int) -> Iterator[None]:
    """In the block, the parameters of these layers are drawn anew; afterwards they are what they were.

    Args:
        model: changed in place, and changed back also after an exception.
        layers: of `weighted_layers`.
        seed: a layer gets the same new weights whichever others are drawn with it.
    """
    names = weighted_layers(model)
    saved: list[tuple[nn.Parameter, torch.Tensor]] = []
    try:
        with torch.no_grad():
            for layer in layers:
                generator = torch.Generator().manual_seed(seed * len(names) + names.index(layer))
                for parameter in model.get_submodule(layer).parameters(recurse=False):
                    saved.append((parameter, parameter.detach().clone()))
                    parameter.copy_(_drawn_like(parameter, generator))
        yield
    finally:
        with torch.no_grad():
            for parameter, former in reversed(saved):  # a tied one was saved twice, the second time as drawn
                parameter.copy_(former)


def _drawn_like(parameter: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(parameter.shape, generator=generator)
    values = parameter.detach().float().cpu()
    spread = values.std(correction=0) if values.numel() > 1 else torch.zeros(())
    return (values.mean() + spread * noise).to(parameter)
