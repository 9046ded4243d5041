"""Resize and crop as data: applied to pixels, and inverted to draw maps on the source.

Positions are continuous pixel edges: pixel i of an axis covers [i, i+1). A source of `source_size` is resized to
`resized_size`. Of this the model sees the rectangle `crop_size` at `(top_px, left_px)`. This file touches no pixels:
`preprocess` applies the geometry, the renderer uses the inverse.

A model may see a frame through one crop or through three. `three_crops` places them, `union` is what they see together,
and `cover_weights` brings their feature maps onto one grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import interpolation_matrix

View = Literal["centre", "full", "three-crop"]
"""The part of the frame that a model sees: its own crop, the whole frame, or three crops along the longer side."""

VIEWS: tuple[View, ...] = get_args(View)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Source frame → resized frame → crop that the model sees; all sizes (height, width) in pixels."""

    source_size: tuple[int, int]
    resized_size: tuple[int, int]
    crop_size: tuple[int, int]
    top_px: int
    left_px: int

    def __post_init__(self) -> None:
        sizes = (*self.source_size, *self.resized_size, *self.crop_size)
        inside = (
            0 <= self.top_px <= self.resized_size[0] - self.crop_size[0]
            and 0 <= self.left_px <= self.resized_size[1] - self.crop_size[1]
        )
        if min(sizes) < 1 or not inside:
            raise ShapeError(f"the crop must lie inside the resized frame, with sizes >= 1, got {self}")

    @property
    def view_box(self) -> tuple[float, float, float, float]:
        """The model's view in source pixel edges: (top, left, bottom, right)."""
        down, across = self._source_per_resized
        return (
            self.top_px * down,
            self.left_px * across,
            (self.top_px + self.crop_size[0]) * down,
            (self.left_px + self.crop_size[1]) * across,
        )

    @property
    def _source_per_resized(self) -> tuple[float, float]:
        return (self.source_size[0] / self.resized_size[0], self.source_size[1] / self.resized_size[1])

    def to_model(self, y_px: float, x_px: float) -> tuple[float, float]:
        """Convert a source position (y, x) to a position in the model's input."""
        down, across = self._source_per_resized
        return y_px / down - self.top_px, x_px / across - self.left_px

    def view_slices(self) -> tuple[slice, slice]:
        """Return the source pixels whose centre lies in the model's view: (rows, columns)."""
        edges = ((self.top_px, self.crop_size[0]), (self.left_px, self.crop_size[1]))
        rows, columns = (
            slice(_first_centre(first, source, resized), _first_centre(first + length, source, resized))
            for (first, length), source, resized in zip(edges, self.source_size, self.resized_size, strict=True)
        )
        return rows, columns

    def slices_in(self, view: Geometry) -> tuple[slice, slice]:
        """Return the rows and columns of this crop in the pixels of a larger view of the same resized frame."""
        top, left = self.top_px - view.top_px, self.left_px - view.left_px
        return slice(top, top + self.crop_size[0]), slice(left, left + self.crop_size[1])

    def source_matrices(self, grid: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the weights that draw an (h, w) feature map on the source pixels of `view_slices`.

        Returns:
            rows (H', h) and columns (W', w), float32, for `maps.resample_plane`.
        """
        return _source_matrices(self, grid)

    def source_positions(self, grid: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the source pixels of `view_slices` lie on an (h, w) feature map, in units of cells.

        Returns:
            y (H',) and x (W',) of the pixels' centres; cell i covers [i, i+1).
        """
        down, across = self._source_per_resized
        rows, columns = self.view_slices()
        y = (np.arange(rows.start, rows.stop) + 0.5) / down - self.top_px
        x = (np.arange(columns.start, columns.stop) + 0.5) / across - self.left_px
        return y * (grid[0] / self.crop_size[0]), x * (grid[1] / self.crop_size[1])


def _first_centre(edge_px: int, source: int, resized: int) -> int:
    """Return the first source pixel whose centre is not before an edge of the resized frame, in exact integers."""
    return -((resized - 2 * edge_px * source) // (2 * resized))


@lru_cache(maxsize=16)
def _source_matrices(geometry: Geometry, grid: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute `Geometry.source_matrices`, cached: the same for every frame of a video. Do not write to the result."""
    y, x = geometry.source_positions(grid)
    return interpolation_matrix(y, grid[0]).astype(np.float32), interpolation_matrix(x, grid[1]).astype(np.float32)


def short_side_resize(source_size: tuple[int, int], short_side_px: int) -> tuple[int, int]:
    """Return the size with the shorter side scaled to `short_side_px` and the other in proportion, rounded down."""
    height, width = source_size
    if height <= width:
        return short_side_px, max(short_side_px, int(short_side_px * width / height))
    return max(short_side_px, int(short_side_px * height / width)), short_side_px


def centre_crop(
    source_size: tuple[int, int],
    resized_size: tuple[int, int],
    crop_size: tuple[int, int],
    *,
    rounds_down: bool = False,
) -> Geometry:
    """Return the geometry of a resize and a central crop; offsets are rounded as in torchvision, or down."""
    margins = (resized_size[0] - crop_size[0], resized_size[1] - crop_size[1])
    top, left = (margin // 2 if rounds_down else round(margin / 2.0) for margin in margins)
    return Geometry(source_size, resized_size, crop_size, top, left)


def three_crops(centre: Geometry) -> tuple[Geometry, ...]:
    """Return the crops at the start, the middle and the end of the axis that loses the larger share to the crop.

    The middle one is `centre`. In a frame longer than three crops, the outer crops touch the middle one and the ends of
    the frame stay unseen: no unseen stripe lies between two crops. If both axes lose the same share, as in a square
    frame, or if an outer crop would be `centre` again, because one pixel is left over, `centre` is the only crop.
    """
    (resized_height, resized_width), (height, width) = centre.resized_size, centre.crop_size
    if resized_height * width == resized_width * height:
        return (centre,)
    if resized_width * height > resized_height * width:
        first, last = max(0, centre.left_px - width), min(resized_width - width, centre.left_px + width)
        outer = replace(centre, left_px=first), replace(centre, left_px=last)
    else:
        first, last = max(0, centre.top_px - height), min(resized_height - height, centre.top_px + height)
        outer = replace(centre, top_px=first), replace(centre, top_px=last)
    return (centre,) if centre in outer else (outer[0], centre, outer[1])


def union(crops: Sequence[Geometry]) -> Geometry:
    """Return the smallest rectangle that contains all crops of one resized frame."""
    top, left = min(crop.top_px for crop in crops), min(crop.left_px for crop in crops)
    bottom = max(crop.top_px + crop.crop_size[0] for crop in crops)
    right = max(crop.left_px + crop.crop_size[1] for crop in crops)
    return replace(crops[0], crop_size=(bottom - top, right - left), top_px=top, left_px=left)


def cover_weights(part: slice, length: int, cells: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the weights that draw one axis of a crop's feature map on the grid of a larger view.

    Args:
        part: the crop's pixels in the view, as from `Geometry.slices_in`.
        length: pixels of the view.
        cells: n, number of cells of the crop. The view has cells of the same size, as nearly as its length allows.

    Returns:
        (m, n) weights of linear interpolation at the centres of the view's m cells, and (m,) whether the crop covers
        each centre.
    """
    covered = part.stop - part.start
    count = max(1, round(cells * length / covered))
    centres = (np.arange(count) + 0.5) * (length / count) - part.start
    return interpolation_matrix(centres * (cells / covered), cells), (centres >= 0) & (centres <= covered)
