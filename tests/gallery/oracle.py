"""Maps and places by plain autograd, without vidcam: hooks, one gradient, and the formulas written out in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

Layout = Callable[[Tensor], Tensor]
Run = Callable[[nn.Module, Tensor], object]
Cell = tuple[int, ...]


def class_activation_maps(
    network: nn.Module, layers: Sequence[str], layout: Layout, score: Callable[[nn.Module], Tensor]
) -> dict[str, Tensor]:
    """Return method → raw map (N, t, h, w) float64.

    Of parallel layers, the maps are added. The weights of gradcam++ are means over the cells then, as those of gradcam,
    and not sums, so that no layer counts more because its grid is finer.

    Args:
        network: in evaluation mode.
        layers: dotted names.
        layout: the layer's output → (N, D, t, h, w).
        score: runs the network; returns a scalar, the sum of one score for each clip.
    """
    maps = [_maps_of_layer(network, layer, layout, score) for layer in layers]
    for each in maps if len(maps) > 1 else ():
        each["gradcam++"] /= each["gradcam++"][0].numel()
    return {method: added([each[method] for each in maps]) for method in maps[0]}


def added(maps: Sequence[Tensor]) -> Tensor:
    """Add maps (N, t, h, w) on the finest grid; each keeps its sum over the cells."""
    size = torch.tensor([each.shape[1:] for each in maps]).amax(dim=0).tolist()
    total = torch.zeros(len(maps[0]), *size, dtype=torch.float64)
    for each in maps:
        fine = nn.functional.interpolate(each[:, None], size, mode="trilinear", align_corners=False)[:, 0]
        before, after = (volume.flatten(1).sum(dim=1) for volume in (each, fine))
        total += fine * torch.where(after > 0, before / after, 0.0)[:, None, None, None]
    return total


def _maps_of_layer(
    network: nn.Module, layer: str, layout: Layout, score: Callable[[nn.Module], Tensor]
) -> dict[str, Tensor]:
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


def reacting_cells(
    network: nn.Module, run: Run, clip: Tensor, axes: str, *, layer: str, layout: Layout, cells: Sequence[Cell]
) -> list[Cell]:
    """Return the cell of a layer that changes most when the pixels under one cell change, for each of several cells.

    Args:
        network: in evaluation mode.
        run: runs it, or a copy, on a clip.
        clip: one clip.
        axes: its axes, such as 'NCTHW'.
        layer: dotted name.
        layout: the layer's output → (1, D, t, h, w).
        cells: (t, h, w) of each cell whose pixels change.
    """
    before = _activations(network, run, clip, layer, layout)
    found = []
    for cell in cells:
        pixels = [slice(None)] * clip.ndim
        for letter, index, count in zip("THW", cell, before.shape[2:], strict=True):
            length = clip.shape[axes.index(letter)]
            pixels[axes.index(letter)] = slice(index * length // count, (index + 1) * length // count)
        changed = clip.clone()
        changed[tuple(pixels)] *= -1.0
        reaction = (_activations(network, run, changed, layer, layout) - before).norm(dim=1)[0]
        found.append(tuple(int(index) for index in torch.unravel_index(reaction.argmax(), reaction.shape)))
    return found


@torch.no_grad()
def _activations(network: nn.Module, run: Run, clip: Tensor, layer: str, layout: Layout) -> Tensor:
    outputs: list[Any] = []
    copy = deepcopy(network)  # a streaming network changes its buffers
    copy.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    run(copy, clip)
    return layout(_as_one([output[0] if isinstance(output, tuple) else output for output in outputs]))


def _as_one(runs: list[Tensor]) -> Tensor:
    """The output of a layer, or those of a layer that runs once for each frame, stacked along time."""
    return runs[0] if len(runs) == 1 else torch.stack(runs, dim=2)
