"""Randomise weights for the sanity checks of Adebayo et al. (arXiv:1810.03292), and restore them afterwards.

A map that does not change when the weights are random does not show what the model has learned. Cascading: the last
layers together, one more in each step, down to the first. Independent: one layer alone. A tensor is drawn from a normal
distribution with its own mean and standard deviation, so that activations keep their usual size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from vidcam.cam.preserve import Undo


def weighted_layers(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the modules that directly hold a parameter of two or more axes, in order of definition."""
    return tuple(
        name
        for name, module in model.named_modules()
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
    )


def randomise(model: nn.Module, layers: Sequence[str], undo: Undo, *, seed: int) -> None:
    """Randomise the parameters of layers; `undo` restores them.

    Args:
        model: changed in place.
        layers: names from `weighted_layers`.
        undo: receives the steps that restore the parameters.
        seed: seed of the draw. A layer gets the same weights whichever other layers are randomised.
    """
    names = weighted_layers(model)
    parameters_of = {layer: list(model.get_submodule(layer).parameters(recurse=False)) for layer in layers}
    for parameter in {parameter: None for parameters in parameters_of.values() for parameter in parameters}:
        undo.add(partial(parameter.detach().copy_, parameter.detach().clone()))
    for layer, parameters in parameters_of.items():
        generator = torch.Generator().manual_seed(seed * len(names) + names.index(layer))
        for parameter in parameters:
            parameter.detach().copy_(_random_like(parameter, generator))


def _random_like(parameter: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(parameter.shape, generator=generator)
    values = parameter.detach().float().cpu()
    spread = values.std(correction=0) if values.numel() > 1 else torch.zeros(())
    return (values.mean() + spread * noise).to(parameter)
