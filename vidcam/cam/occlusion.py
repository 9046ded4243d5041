"""Occlusion: how much the score drops when a box of the clip, in space and time, is replaced by a fill.

As in Zeiler & Fergus (arXiv:1311.2901), with boxes of a grid over the clip. No gradient is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from vidcam.axes import Axes
from vidcam.cam.input_score import ScoreOf
from vidcam.cam.masks import MeasuredMap, mixed, require_grid, scores_of, spread
from vidcam.cam.network import Input, reference
from vidcam.errors import ShapeError
from vidcam.system.progress import Progress, silent


def occlusion(
    score: ScoreOf,
    clip: Input,
    fill: Input,
    *,
    cells: Sequence[int],
    box: Sequence[int] | None = None,
    axes: Axes | None = None,
    progress: Progress = silent,
) -> MeasuredMap:
    """Replace one box after another by the fill, and measure the score's drop.

    It costs a forward pass for each box and one of the clip. Clips of a batch run together.

    Args:
        score: scores N clips.
        clip: N clips, as the network takes them; boxes lie at the same place in each pathway.
        fill: a clip of the same sizes without content, N rows or one.
        cells: (t, h, w), the grid over the clip. Cell i of n covers the pixels from ⌊i·L/n⌋ to ⌊(i + 1)·L/n⌋.
        box: size of a box in cells; boxes start at each cell. A cell has the mean drop of the boxes that cover it.
            None: one cell, without overlap.
        axes: of the clip; None: (N, C, T, H, W), or without T or H and W.
        progress: called after each forward pass.

    Returns:
        The map on the grid, S(clip) - S(clip without the box).

    Raises:
        ShapeError: the grid or the box does not fit, or the fill has other sizes.
        NonFiniteError: NaN or infinity in the scores.
    """
    size = tuple(reference(clip, axes).shape[2:])
    grid = require_grid(cells, size)
    lengths = require_box(box or (1,) * len(grid), grid)
    corners = [count - length + 1 for count, length in zip(grid, lengths, strict=True)]
    original, forwards = scores_of(score, clip), prod(corners) + 1
    total, boxes = np.zeros((original.size, *grid)), np.zeros(grid)
    progress("occlusion", 1, forwards)
    for done, corner in enumerate(np.ndindex(*corners), 2):
        covered = tuple(slice(start, start + length) for start, length in zip(corner, lengths, strict=True))
        drop = original - scores_of(score, mixed(clip, fill, partial(_outside, grid, covered), axes))
        total[(slice(None), *covered)] += spread(drop, len(grid))
        boxes[covered] += 1
        progress("occlusion", done, forwards)
    return MeasuredMap(total / boxes, None)


def require_box(box: Sequence[int], grid: Sequence[int]) -> tuple[int, ...]:
    """Check that a box fits into the grid."""
    if len(box) != len(grid) or any(not 1 <= side <= count for side, count in zip(box, grid, strict=False)):
        raise ShapeError(f"box is {tuple(box)}, expected from 1 to {tuple(grid)} cells")
    return tuple(box)


def _outside(grid: Sequence[int], covered: Sequence[slice], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Make the mask that hides some cells: `covered` are the cells along each axis."""
    visible = np.ones(size, np.bool_)
    ends = zip(size, grid, covered, strict=True)
    visible[tuple(slice(c.start * length // n, c.stop * length // n) for length, n, c in ends)] = False
    return visible
