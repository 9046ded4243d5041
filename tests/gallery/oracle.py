"""Maps and places by plain autograd, without vidcam: hooks, one gradient, and the formulas written out in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Layout = Callable[[Tensor], Tensor]


def class_activation_maps(
    network: nn.Module, layer: str, layout: Layout, score: Callable[[nn.Module], Tensor]
) -> dict[str, Tensor]:
    """Return method → raw map (N, t, h, w) float64.

    Args:
        network: in evaluation mode.
        layer: dotted name.
        layout: the layer's output → (N, D, t, h, w).
        score: runs the network; returns a scalar, the sum of one score for each clip.
    """
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) else output
        outputs.append(first.detach().requires_grad_())
        copy = outputs[-1].clone()  # an in-place ReLU may follow
        return (copy, *output[1:]) if isinstance(output, tuple) else copy

    handle = network.get_submodule(layer).register_forward_hook(keep)
    gradients = torch.autograd.grad(score(network), outputs)
    handle.remove()
    a, g = (layout(_as_one(list(runs))).detach().double() for runs in (outputs, gradients))
    grid = tuple(range(2, a.ndim))
    sums = a.sum(dim=grid, keepdim=True)
    plus_plus = (g.clamp(min=0) / (2 + g.clamp(min=0) * sums)).sum(dim=grid, keepdim=True)
    return {
        "gradcam": (g.mean(dim=grid, keepdim=True) * a).sum(dim=1).clamp(min=0),
        "gradcam++": (plus_plus * a).sum(dim=1).clamp(min=0),
        "hirescam": (g * a).sum(dim=1).clamp(min=0),
    }


def reacting_cell(
    network: nn.Module, clip: Tensor, layer: str, layout: Layout, cell: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the cell of a layer that changes most when the pixels under one cell change.

    Args:
        network: in evaluation mode.
        clip: (1, C, T, H, W).
        layer: dotted name.
        layout: the layer's output → (1, D, t, h, w).
        cell: (t, h, w), the cell whose pixels change.
    """
    before = _activations(network, clip, layer, layout)
    sizes = zip(cell, clip.shape[2:], before.shape[2:], strict=True)
    pixels = tuple(slice(index * length // cells, (index + 1) * length // cells) for index, length, cells in sizes)
    changed = clip.clone()
    changed[(slice(None), slice(None), *pixels)] *= -1.0
    reaction = (_activations(network, changed, layer, layout) - before).norm(dim=1)[0]
    return tuple(int(index) for index in torch.unravel_index(reaction.argmax(), reaction.shape))


@torch.no_grad()
def _activations(network: nn.Module, clip: Tensor, layer: str, layout: Layout) -> Tensor:
    outputs: list[Any] = []
    keep = network.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    network(clip)
    keep.remove()
    return layout(_as_one([output[0] if isinstance(output, tuple) else output for output in outputs]))


def _as_one(runs: list[Tensor]) -> Tensor:
    """The output of a layer, or those of a layer that runs once for each frame, stacked along time."""
    return runs[0] if len(runs) == 1 else torch.stack(runs, dim=2)
