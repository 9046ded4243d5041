"""Reshapes: from what a layer of a transformer returns to (N, D, t, h, w).

A reshape only moves numbers and leaves some out, so that the same function serves activations and gradients. Which one
a layer needs is not guessed: a wrong guess gives a map that looks right. Any function of a tensor will do; these are
the two usual ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from torch import Tensor

from vidcam.errors import LayerError

Reshape = Callable[[Tensor], Tensor]
"""Layer output → (N, D, t, h, w)."""


def channels_last(output: Tensor) -> Tensor:
    """(N, t, h, w, D) → (N, D, t, h, w), as Swin3D's blocks return it; (N, h, w, D) → (N, D, h, w)."""
    return output.movedim(-1, 1)


def tokens(grid: Sequence[int], *, class_tokens: int = 1) -> Reshape:
    """(N, class_tokens + t·h·w, D) → (N, D, t, h, w), as MViT's and VideoMAE's blocks return it.

    Args:
        grid: (t, h, w).
        class_tokens: how many tokens stand before those of the grid; they carry no place and are left out.
    """
    cells = prod(grid)

    def reshape(output: Tensor) -> Tensor:
        if output.ndim != 3 or output.shape[1] != class_tokens + cells:
            raise LayerError(
                f"the layer returns {tuple(output.shape)}, expected (N, {class_tokens} + {cells}, D) tokens for a grid "
                f"of {tuple(grid)}; give the grid and the number of class tokens of this layer"
            )
        places = output[:, class_tokens:].transpose(1, 2)  # (N, D, t·h·w)
        return places.reshape(*places.shape[:2], *grid)

    return reshape


def unchanged(output: Tensor) -> Tensor:
    """(N, D, t, h, w) as it is: convolutional layers."""
    return output
