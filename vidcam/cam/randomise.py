"""Weights drawn anew, for the sanity checks of Adebayo et al. (arXiv:1810.03292), and put back afterwards.

A map that stays the same when the model has forgotten what it learned does not show what it learned. Cascading: the
last layer, then the one before it too, down to the first; independent: one layer alone. A tensor is drawn from a normal
distribution with its own mean and standard deviation, so that the numbers stay of the size that the network expects.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from vidcam.cam.preserve import Undo


def weighted_layers(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules that hold parameters of their own with two axes or more, in order of definition."""
    return tuple(
        name
        for name, module in model.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    )


def randomise(model: nn.Module, layers: Sequence[str], undo: Undo, *, seed: int) -> None:
    """Draw the parameters of these layers anew; `undo` makes them what they were.

    Args:
        model: changed in place.
        layers: of `weighted_layers`.
        undo: takes the steps back.
        seed: a layer gets the same new weights whichever others are drawn with it.
    """
    names = weighted_layers(model)
    chosen = {layer: list(model.get_submodule(layer).parameters(recurse=False)) for layer in layers}
    for parameter in {parameter: None for parameters in chosen.values() for parameter in parameters}:
        undo.add(partial(parameter.detach().copy_, parameter.detach().clone()))
    for layer, parameters in chosen.items():
        generator = torch.Generator().manual_seed(seed * len(names) + names.index(layer))
        for parameter in parameters:
            parameter.detach().copy_(_drawn_like(parameter, generator))


def _drawn_like(parameter: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(parameter.shape, generator=generator)
    values = parameter.detach().float().cpu()
    spread = values.std(correction=0) if values.numel() > 1 else torch.zeros(())
    return (values.mean() + spread * noise).to(parameter)
