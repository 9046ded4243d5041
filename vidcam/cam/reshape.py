"""Reshapes from a layer's output to (N, D, t, h, w), for transformers and frame-wise networks.

A reshape only moves or drops values, so that the same function serves activations and gradients. It is never guessed: a
wrong reshape gives a map that looks right. Any function of a tensor may be passed; these are the usual ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Literal

from torch import Tensor

from vidcam.errors import LayerError
from vidcam.spec import Layout, ModelSpec, TokenGrid

Reshape = Callable[[Tensor], Tensor]
"""Layer output → (N, D, t, h, w)."""


def channels_last(output: Tensor) -> Tensor:
    """Move channels to axis 1, for blocks such as Swin3D's: (N, t, h, w, D) → (N, D, t, h, w). t may be missing."""
    return output.movedim(-1, 1)


def tokens(
    grid: Sequence[int], *, class_tokens: int = 1, order: str = "thw", axes: Literal["NLD", "LND"] = "NLD"
) -> Reshape:
    """(N, class_tokens + t·h·w, D) → (N, D, t, h, w), as MViT's and VideoMAE's blocks return it.

    With the tokens of single frames, (N·T, class_tokens + h·w, D), go on with `frames`:
    `in_turn([tokens((14, 14)), frames(8)])`.

    Args:
        grid: (t, h, w), or (h, w) for single frames, in this order whatever the order of the tokens is.
        class_tokens: how many tokens stand before those of the grid; they carry no place and are left out.
        order: order of the tokens, the slowest axis first; 'hwt' for TimeSformer. For (h, w) the t is ignored.
        axes: 'LND' if the layer returns (tokens, N, D).

    Raises:
        ShapeError: a side below 1, a negative number of class tokens, or an unknown order or axes.
    """
    layout = TokenGrid(tuple(grid), class_tokens, order, axes)
    cells, permutation = prod(layout.grid), layout.permutation
    sides = [layout.grid[axis] for axis in permutation]
    back = [2 + permutation.index(axis) for axis in range(len(sides))]

    def reshape(output: Tensor) -> Tensor:
        length = axes.index("L")
        if output.ndim != 3 or output.shape[length] != class_tokens + cells:
            shape = ", ".join(f"{class_tokens} + {cells}" if axis == "L" else axis for axis in axes)
            raise LayerError(
                f"the layer returns {tuple(output.shape)}, not ({shape}) for a grid of {layout.grid}; correct grid, "
                f"class_tokens or axes"
            )
        rows = output if axes == "NLD" else output.transpose(0, 1)
        places = rows[:, class_tokens:].transpose(1, 2)  # (N, D, t·h·w), in the order of the tokens
        return places.reshape(*places.shape[:2], *sides).permute(0, 1, *back)

    return reshape


def frames(count: int) -> Reshape:
    """(N·T, D, h, w) → (N, D, T, h, w), as networks return it that fold time into the batch: one map for each frame.

    Frames of one clip must follow each other: row n·T + j is frame j of clip n. With T = 1 an image network's layer.

    Args:
        count: T.
    """

    def reshape(output: Tensor) -> Tensor:
        if output.ndim != 4 or output.shape[0] % count:
            raise LayerError(
                f"the layer returns {tuple(output.shape)}, not (N·{count}, D, h, w); choose a layer that processes "
                f"each of the {count} frames alone"
            )
        return output.reshape(-1, count, *output.shape[1:]).transpose(1, 2)

    return reshape


def in_turn(steps: Sequence[Reshape]) -> Reshape:
    """One reshape after the other: tokens of single frames are `in_turn([tokens((h, w)), frames(T)])`."""

    def reshape(output: Tensor) -> Tensor:
        for step in steps:
            output = step(output)
        return output

    return reshape


def reshape_of(spec: ModelSpec) -> Reshape | None:
    """The reshape that a specification asks for; None if layers return (N, D, t, h, w) already."""
    return reshape_from(spec.layouts, spec.frames)


def reshape_from(layouts: Sequence[Layout], frame_count: int) -> Reshape | None:
    """The reshape that takes these steps; None for no step.

    Args:
        layouts: of a layer's output, in order.
        frame_count: T.
    """
    steps = [_step(layout, frame_count) for layout in layouts]
    return in_turn(steps) if steps else None


def _step(layout: Layout, frame_count: int) -> Reshape:
    if isinstance(layout, TokenGrid):
        return tokens(layout.grid, class_tokens=layout.class_tokens, order=layout.order, axes=layout.axes)
    return channels_last if layout == "channels-last" else frames(frame_count)


def reshape_words(layouts: Sequence[Layout], frame_count: int) -> str:
    """The same in Python, as a user passes it."""
    steps = [_words(layout, frame_count) for layout in layouts]
    return steps[0] if len(steps) == 1 else f"vidcam.in_turn([{', '.join(steps)}])"


def _words(layout: Layout, frame_count: int) -> str:
    if isinstance(layout, TokenGrid):
        order = "" if layout.order == "thw" else f", order={layout.order!r}"
        return f"vidcam.tokens({layout.grid}, class_tokens={layout.class_tokens}{order})"
    return "vidcam.channels_last" if layout == "channels-last" else f"vidcam.frames({frame_count})"
