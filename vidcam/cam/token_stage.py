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

from vidcam.cam.reshape import Reshape, channels_last, in_turn, tokens
from vidcam.cam.reshape import frames as fold_frames

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


def reshape_for(stage: TokenOutput, grids: Sequence[tuple[int, ...]], clip: Tensor) -> tuple[str, Reshape | None]:
    """Return the `reshape=` for a stage in words of Python, and the function; None if it is not known.

    Args:
        stage: the last block.
        grids: the channels-first grids of the network, also of single frames; the last that fits the number of tokens
            is taken.
        clip: the input.
    """
    if len(stage.shape) == clip.ndim:
        return "vidcam.channels_last", channels_last
    rows, count = stage.shape[:2]
    frames = clip.shape[2] if clip.ndim == 5 else 1
    for grid in reversed(grids):
        if count - prod(grid) not in (0, 1):
            continue
        words, reshape = (
            f"vidcam.tokens({grid}, class_tokens={count - prod(grid)})",
            tokens(grid, class_tokens=count - prod(grid)),
        )
        if rows == clip.shape[0]:
            return words, reshape
        if rows == clip.shape[0] * frames and len(grid) == 2:
            return f"vidcam.in_turn([{words}, vidcam.frames({frames})])", in_turn([reshape, fold_frames(frames)])
    return f"a function from its output {stage.shape} to (N, D, t, h, w)", None
