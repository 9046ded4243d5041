"""RISE: the mean score of randomly masked clips, by what they show (arXiv:1806.07421), in space and time.

A mask is a coarse grid of cells that are visible with probability p, upsampled linearly and moved by a random part of a
cell. At each place, E[S·M]/p is the mean score of the clips that show it. The map is that minus the mean score: for a
linear score, (1 - p) times what a place adds. So it has a smaller error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.axes import Axes
from vidcam.cam.input_score import ScoreOf
from vidcam.cam.masks import MeasuredMap, mixed, require_grid, scores_of, spread
from vidcam.cam.network import Input, reference
from vidcam.errors import InputError
from vidcam.maps import Floats, interpolation_matrix, resample_volume
from vidcam.system.progress import Progress, silent

CELLS = (4, 7, 7)
"""Cells of a mask along time, rows and columns, where the clip has as many."""

FINER = 4
"""Cells of the map for each cell of a mask, along each axis."""


@dataclass(frozen=True, slots=True, eq=False)
class RandomMask:
    """A random mask, which can be computed at any size.

    Attributes:
        visible: (t + 1, h + 1, w + 1) bool: one cell more than cover the clip, because they are moved.
        shift: how far they are moved along each axis, in cells, [0, 1).
    """

    visible: NDArray[np.bool_]
    shift: NDArray[np.float64]

    def at(self, size: tuple[int, ...]) -> Floats:
        """Return the visible share at (T, H, W) places that divide the clip evenly, float32 in [0, 1]."""
        axes = zip(size, self.visible.shape, self.shift, strict=True)
        matrices = [
            interpolation_matrix((np.arange(length) + 0.5) * ((cells - 1) / length) + shift, cells)
            for length, cells, shift in axes
        ]
        return np.clip(resample_volume(self.visible.astype(np.float32), matrices), 0, 1)


def rise(
    score: ScoreOf,
    clip: Input,
    fill: Input,
    *,
    masks: int,
    cells: Sequence[int] | None = None,
    visible: float = 0.5,
    seed: int = 0,
    axes: Axes | None = None,
    progress: Progress = silent,
) -> MeasuredMap:
    """Score a clip under random masks; the map is the mean of (score - mean score) × mask, divided by p.

    It costs a forward pass for each mask. Clips of a batch run together, under the same masks.

    Args:
        score: scores N clips.
        clip: N clips of floats, as the network takes them; masks lie at the same place in each pathway.
        fill: a clip of the same sizes without content, N rows or one.
        masks: number of masks, at least 2.
        cells: (t, h, w), the cells of a mask. None: `CELLS`, or as many as the clip has pixels.
        visible: p, the share of cells that are visible.
        seed: seed of the masks. The same seed gives the same masks for any clip.
        axes: of the clip; None: (N, C, T, H, W), or without T or H and W.
        progress: called after each forward pass.

    Returns:
        The map with `FINER` cells for each cell of a mask, as far as there are pixels, with its standard error.

    Raises:
        InputError: too few masks, p outside of (0, 1), or a clip of integers.
        ShapeError: the cells do not fit, or the fill has other sizes.
        NonFiniteError: NaN or infinity in the scores.
    """
    if masks < 2 or not 0.0 < visible < 1.0:
        raise InputError(f"rise needs 2 masks or more and a visible share in (0, 1), got {masks} and {visible:g}")
    size = tuple(reference(clip, axes).shape[2:])
    most = zip(CELLS[-len(size) :], size, strict=True)
    grid = require_grid([min(count, length) for count, length in most] if cells is None else cells, size)
    scores = []
    for done, mask in enumerate(random_masks(grid, masks, visible, seed), 1):
        scores.append(scores_of(score, mixed(clip, fill, mask.at, axes)))
        progress("rise", done, masks)
    fine = tuple(min(length, FINER * count) for length, count in zip(size, grid, strict=True))
    level = np.mean(scores, axis=0)
    total, squares = np.zeros((2, scores[0].size, *fine))
    for mask, own in zip(random_masks(grid, masks, visible, seed), scores, strict=True):  # the same masks again
        term = spread(own - level, len(size)) * (mask.at(fine) - visible) / visible  # Σ (S - mean) · p is 0
        total += term
        squares += term**2
    mean = total / masks
    return MeasuredMap(mean, np.sqrt(np.maximum(squares / masks - mean**2, 0) / (masks - 1)))


def random_masks(grid: Sequence[int], masks: int, visible: float, seed: int) -> Iterator[RandomMask]:
    """Draw masks with (t, h, w) cells over the clip."""
    generator = np.random.default_rng(seed)
    for _ in range(masks):
        cells = generator.random([count + 1 for count in grid]) < visible
        yield RandomMask(cells, generator.random(len(grid)))
