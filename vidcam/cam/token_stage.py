"""The part of a network that works on tokens or channels-last grids, which the default layer must not pass over.

A stage is more than a head if it keeps more positions than the clip has frames, so that it still knows places; if more
than MAX_HEAD_MATRICES of its modules own a weight matrix; and if it has more than MAX_HEAD_SHARE of the network's
parameters. So a linear classifier before the pooling is a head, and so is an LSTM over the pooled frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from vidcam.spec import Layout, TokenGrid

MAX_HEAD_MATRICES = 2
MAX_HEAD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class TokenOutput:
    """One output of tokens (N, L, D), or of a channels-last grid (N, t, h, w, D).

    Attributes:
        name: dotted name of the layer.
        order: when it finished.
        shape: of the output.
        weights: numbers of parameters that the module itself owns.
        has_matrix: whether one of them is a matrix.
        is_block: whether the module has other modules inside.
    """

    name: str
    order: int
    shape: tuple[int, ...]
    weights: int
    has_matrix: bool
    is_block: bool


def token_output(name: str, module: nn.Module, output: Tensor, order: int, clip: Tensor) -> TokenOutput | None:
    """Describe an output if it has more positions for each clip than the clip has frames; else None."""
    positions = output.numel() // max(1, output.shape[-1] * clip.shape[0])
    frames = clip.shape[2] if clip.ndim > 4 else 1
    if output.ndim < 3 or positions <= frames:
        return None
    own = list(module.parameters(recurse=False))
    return TokenOutput(
        name,
        order,
        tuple(output.shape),
        sum(parameter.numel() for parameter in own),
        any(parameter.ndim > 1 for parameter in own),
        is_block=next(module.children(), None) is not None,
    )


def later_stage(outputs: Sequence[TokenOutput], after: int, parameters: int) -> TokenOutput | None:
    """Return the last block of a stage of tokens that ran after a layer; None if it is no more than a head.

    Args:
        outputs: in order.
        after: when the layer finished.
        parameters: number of the network's parameters.
    """
    later = [output for output in outputs if output.order > after]
    modules = {output.name: output for output in later}.values()
    weights = sum(output.weights for output in modules)
    if sum(output.has_matrix for output in modules) <= MAX_HEAD_MATRICES or weights <= MAX_HEAD_SHARE * parameters:
        return None
    return next((output for output in reversed(later) if output.is_block), later[-1])


def layouts_of(shape: Sequence[int], grids: Sequence[tuple[int, ...]], clip: Tensor) -> tuple[Layout, ...]:
    """Return the steps from tokens, or a channels-last grid, to (N, D, t, h, w); none if they are not known.

    Args:
        shape: of the layer's output.
        grids: the channels-first grids of the network, also of single frames; the last that fits the number of tokens
            is taken.
        clip: the input, (N, C, T, H, W) or with fewer axes.
    """
    if len(shape) == clip.ndim:
        return ("channels-last",)
    if len(shape) != 3:
        return ()
    clips, frames = clip.shape[0], clip.shape[2] if clip.ndim == 5 else 1
    for grid in reversed(grids):
        whole = (frames, *grid) if clip.ndim == 5 and len(grid) == 2 else tuple(grid)
        steps: list[tuple[int, tuple[int, ...], tuple[Layout, ...]]] = [(clips, whole, ())]
        if clip.ndim == 5 and whole[0] == frames:
            steps.append((clips * frames, whole[1:], ("frames",)))
        for rows, cells, more in steps:
            others = shape[1] - prod(cells)
            if shape[0] == rows and others in (0, 1):
                return (TokenGrid(cells, others), *more)
    return ()
