"""Resize and crop as data: applied to pixels, and inverted to draw maps on the source.

Positions are continuous pixel edges: pixel i of an axis covers [i, i+1). A source of `source_size` is resized to
`resized_size`. Of this the model sees the rectangle `crop_size` at `(top_px, left_px)`. This file touches no pixels:
`preprocess` applies the geometry, the renderer uses the inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import interpolation_matrix


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


def centre_crop(source_size: tuple[int, int], resized_size: tuple[int, int], crop_size: tuple[int, int]) -> Geometry:
    """Return the geometry of a resize and a central crop; offsets are rounded as in torchvision."""
    top = round((resized_size[0] - crop_size[0]) / 2.0)
    left = round((resized_size[1] - crop_size[1]) / 2.0)
    return Geometry(source_size, resized_size, crop_size, top, left)
