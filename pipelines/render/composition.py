"""Draw the output picture of `render` at a moment: one or several maps, their captions, and the time strip below.

Several maps are drawn in a grid. Its frames have at most 4K pixels together, so they may be shrunk. Text is drawn at
the size of the cell, so that it stays legible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vidcam.errors import InputError
from vidcam.media import Frames, Seconds
from vidcam.pipelines.render.captions import CaptionDrawer
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, Kind, ShownMap
from vidcam.pipelines.render.summary import time_strip
from vidcam.render.video_strip import VideoStrip, strip_height
from vidcam.video.container import MAX_PIXELS, MAX_SIDE_PX

MOST_SIZE = (2160, 3840)
"""Largest (height, width) of a grid of several maps."""

SCREEN = 2.2
"""Preferred width over height of a grid: a little wider than a screen."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of frames of the same (height, width), each with a margin of `margin_px` rows below it."""

    rows: int
    columns: int
    cell: tuple[int, int]
    margin_px: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the grid in pixels."""
        return self.rows * (self.cell[0] + self.margin_px), self.columns * self.cell[1]

    def place(self, number: int) -> tuple[slice, slice]:
        """Return the pixel rows and columns of a frame with its margin."""
        row, column = divmod(number, self.columns)
        height, width = self.cell[0] + self.margin_px, self.cell[1]
        return slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)


def grid_of(count: int, size: tuple[int, int]) -> Grid:
    """Choose the grid for `count` frames of (height, width): large cells, few empty cells, the shape of a screen."""
    grids = [_grid(-(-count // columns), columns, size) for columns in range(count, 0, -1)]

    def quality(grid: Grid) -> tuple[float, float]:
        used = count / (grid.rows * grid.columns)
        shape = abs(float(np.log(grid.size[1] / grid.size[0] / SCREEN)))
        return round(grid.cell[0] * grid.cell[1] * used**3), -shape

    return max(grids, key=quality)


def _grid(rows: int, columns: int, size: tuple[int, int]) -> Grid:
    scale = min(1.0, MOST_SIZE[0] / (rows * size[0]), MOST_SIZE[1] / (columns * size[1]))
    return Grid(rows, columns, (max(1, int(size[0] * scale)), max(1, int(size[1] * scale))))


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a picture.

    Attributes:
        grid: the grid of cells.
        kind: how a map is drawn in its cell.
        has_source: whether the first cell is the source without a map.
        strip: whether the time strip is below the grid.

    Raises:
        InputError: the picture would be too large.
    """

    grid: Grid
    kind: Kind = "overlay"
    has_source: bool = False
    strip: bool = False

    def __post_init__(self) -> None:
        height, width = self.size
        if max(height, width) > MAX_SIDE_PX or height * width > MAX_PIXELS:
            raise InputError(
                f"the picture would have {width} × {height} pixels, more than {MAX_SIDE_PX} per side or "
                f"{MAX_PIXELS // 10**6} million; use a smaller --height"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        height, width = self.grid.size
        return height + (strip_height(self.grid.size) if self.strip else 0), width


class Composition:
    """Draws the output pictures of a video.

    Args:
        renderer: draws maps on frames of the grid's cells.
        maps: the maps to draw.
        layout: the layout of the picture.
        captions: draws the captions of the cells.
        pts_seconds: (S,) time stamps of the drawn frames.
        end_seconds: end of the drawn part.
    """

    def __init__(
        self,
        renderer: FrameRenderer,
        maps: Sequence[ShownMap],
        layout: Layout,
        captions: CaptionDrawer,
        *,
        pts_seconds: Seconds,
        end_seconds: float,
    ) -> None:
        self._renderer, self._layout, self._grid, self._captions = renderer, layout, layout.grid, captions
        renderer.expect(pts_seconds)
        self._cells: tuple[ShownMap | None, ...] = (None, *maps) if layout.has_source else tuple(maps)
        self._strip: VideoStrip | None = None
        if layout.strip:
            strip = time_strip(renderer.explanation, maps, pts_seconds, (float(pts_seconds[0]), end_seconds))
            self._strip = VideoStrip(strip, self._grid.size)

    def picture(self, second: float, frame: Frames) -> Frames:
        """Draw the picture of a displayed frame (H, W, 3) uint8; a new array of the layout's size."""
        context = FrameContext(self._renderer, second, _resized(frame, self._grid.cell))
        if len(self._cells) == 1 and self._strip is None:
            return self._cell(context, self._cells[0])
        whole = np.zeros((*self._layout.size, 3), np.uint8)
        for number, shown in enumerate(self._cells):
            whole[self._grid.place(number)] = self._cell(context, shown)
        if self._strip is not None:
            whole[self._grid.size[0] :] = self._strip.at(second)
        return whole

    def _cell(self, context: FrameContext, shown: ShownMap | None) -> Frames:
        picture = context.frame.copy() if shown is None else context.picture(self._layout.kind, shown)
        return self._captions.draw(picture, shown, context.second)


def _resized(frame: Frames, size: tuple[int, int]) -> Frames:
    if frame.shape[:2] == size:
        return frame
    height, width = size
    picture = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture)  # pillow: (width, height)
