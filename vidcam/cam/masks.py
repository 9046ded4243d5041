"""Clips of which parts are replaced by a fill, and the maps that are measured with them.

The scores of such clips tell what the model itself needs, without activations and without gradients. `occlusion` hides
one box after another, `rise` hides random parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.axes import Axes
from vidcam.cam.input_score import ScoreOf
from vidcam.cam.network import Input, like_input, pathways, require_finite
from vidcam.cam.weights import to_numpy
from vidcam.errors import InputError, ShapeError

Mask = Callable[[tuple[int, ...]], NDArray[Any]]
"""(T, H, W) → what is visible at this size, (T, H, W): bool, or a share in [0, 1]."""

_TIME_SHARE = 4 / 7
"""Cells along time for each cell along a side."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredMap:
    """A map that was measured on clips of which parts were replaced.

    Attributes:
        values: (N, t, h, w) float64 in units of the score, signed: above 0 where the content raises the score.
        error: (N, t, h, w), standard error of `values`; None if nothing was drawn at random.
    """

    values: NDArray[np.float64]
    error: NDArray[np.float64] | None


def grid_for(size: Sequence[int], most: int) -> tuple[int, ...]:
    """Choose a grid of at most `most` cells, such as (2, 3, 3) for 18 and (4, 7, 7) for 200.

    Cells are added one by one along the axis where they are longest, so more than half of `most` is used.

    Args:
        size: (T, H, W); (H, W) of an image, (L,) of a signal.
        most: at least 1.
    """
    *_, height, width = (1, *size)
    shares = (_TIME_SHARE, sqrt(height / width), sqrt(width / height))[-len(size) :]
    grid = [1] * len(size)
    while axes := [axis for axis, length in enumerate(size) if grid[axis] < length]:
        longest = min(axes, key=lambda axis: grid[axis] / shares[axis])
        if prod(grid) + prod(grid) // grid[longest] > most:
            break
        grid[longest] += 1
    return tuple(grid)


def require_grid(cells: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """Check that a grid has as many axes as a clip, and no cell without a pixel."""
    if len(cells) != len(size) or any(not 1 <= count <= length for count, length in zip(cells, size, strict=False)):
        raise ShapeError(f"cells is {tuple(cells)}, expected from 1 to {tuple(size)} of them along the clip's axes")
    return tuple(cells)


def mixed(clip: Input, fill: Input, visible: Mask, axes: Axes | None = None) -> Input:
    """Replace what is not visible by the fill, at the same place in each pathway.

    Args:
        clip: N clips.
        fill: a clip of the same sizes, N rows or one.
        visible: the mask.
        axes: of each pathway; None: (N, C, ...).

    Raises:
        ShapeError: the fill has other sizes.
        InputError: a soft mask and a clip of integers.
    """
    parts = []
    for part, blank in zip(pathways(clip), pathways(fill), strict=True):
        shown, hidden = (part, blank) if axes is None else (axes.view(part), axes.view(blank))
        if hidden.shape[1:] != shown.shape[1:]:
            raise ShapeError(f"fill is {tuple(blank.shape)}, the clip is {tuple(part.shape)}; pass a fill of its sizes")
        new = _mixed(shown, hidden.to(shown), torch.from_numpy(visible(tuple(shown.shape[2:]))).to(shown.device))
        parts.append((new if axes is None else axes.restore(new)).contiguous())
    return like_input(clip, parts)


def _mixed(shown: Tensor, hidden: Tensor, visible: Tensor) -> Tensor:
    if visible.dtype == torch.bool:
        return torch.where(visible, shown, hidden)
    if not shown.is_floating_point():
        raise InputError(f"clip is {shown.dtype}, but rise fades pixels; pass a clip of floats, or use occlusion")
    return torch.lerp(hidden.expand_as(shown), shown, visible.to(shown.dtype))


def scores_of(score: ScoreOf, clip: Input) -> NDArray[np.float64]:
    """Compute the scores of N clips without a graph, (N,).

    Raises:
        NonFiniteError: NaN or infinity.
    """
    with torch.no_grad():
        scores = score(clip)
    require_finite(scores, "the scores of a masked clip")
    return to_numpy(scores).astype(np.float64)


def spread(numbers: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    """Give (N,) numbers so many axes of length 1 that they multiply a map."""
    return numbers.reshape(-1, *(1,) * axes)
