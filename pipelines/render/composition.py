"""Draw the output picture at a moment: one or several maps, their captions, and the time strip below.

Several maps are drawn in a grid. The grid has at most 4K pixels, so the frames may be shrunk. Text is drawn at the size
of the cell, so that it stays legible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from vidcam.errors import InputError
from vidcam.media import Frames, Seconds
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, Kind, RenderStyle, ShownMap
from vidcam.pipelines.render.summary import VideoSummary, time_strip
from vidcam.render.captions import Box, caption_box, caption_lines, colour_bar_box, is_small_beside, unit_of
from vidcam.render.video_strip import VideoStrip, strip_height
from vidcam.results.video import VideoExplanation
from vidcam.video.container import MAX_PIXELS, MAX_SIDE_PX

MOST_SIZE = (2160, 3840)
"""Largest (height, width) of a grid of several maps."""

SCREEN = 2.2
"""Preferred width over height of a grid: a little wider than a screen."""

SOURCE = ("source", "")


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of cells of the same (height, width)."""

    rows: int
    columns: int
    cell: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the grid in pixels."""
        return self.rows * self.cell[0], self.columns * self.cell[1]

    def place(self, number: int) -> tuple[slice, slice]:
        """Return the pixel rows and columns of a cell."""
        row, column = divmod(number, self.columns)
        height, width = self.cell
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
        caption: whether each cell has a caption with label, probability and method.
        colorbar: whether each map has a colour bar.
        strip: whether the time strip is below the grid.

    Raises:
        InputError: the picture would be too large.
    """

    grid: Grid
    kind: Kind = "overlay"
    has_source: bool = False
    caption: bool = True
    colorbar: bool = True
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
        explanation: the maps.
        maps: the maps to draw.
        style: colours, opacity and outline.
        layout: the layout of the picture.
        pts_seconds: (S,) time stamps of the drawn frames.
        end_seconds: end of the drawn part.

    Attributes:
        notes: sentences about parts that were left out because the frames are too small.
    """

    def __init__(
        self,
        explanation: VideoExplanation,
        maps: tuple[ShownMap, ...],
        style: RenderStyle,
        layout: Layout,
        *,
        pts_seconds: Seconds,
        end_seconds: float,
    ) -> None:
        self._layout, self._grid = layout, layout.grid
        self._cells: tuple[ShownMap | None, ...] = (None, *maps) if layout.has_source else maps
        in_cell = replace(explanation, geometry=replace(explanation.geometry, source_size=self._grid.cell))
        self._renderer = FrameRenderer(in_cell, style)
        self._summaries = {shown.target: VideoSummary(explanation, shown.target) for shown in maps}
        self._unit = unit_of(self._grid.cell)
        self._lines = caption_lines(self._grid.cell, self._unit) if layout.caption else 0
        self._bars: dict[ShownMap, Box] = {}
        if layout.colorbar and layout.kind != "map":
            bounds = {shown: explanation.bounds[shown.method] for shown in maps}
            colours = self._renderer.bar_colours(layout.kind)
            self._bars = {shown: colour_bar_box(colours, self._unit, raw) for shown, raw in bounds.items()}
        self.notes = self._drop_large_parts()
        self._strip: VideoStrip | None = None
        if layout.strip:
            strip = time_strip(explanation, maps, pts_seconds, (float(pts_seconds[0]), end_seconds))
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
        margin = max(3, self._unit // 2)
        picture = context.frame.copy() if shown is None else context.picture(self._layout.kind, shown)
        if self._lines:
            lines = SOURCE if shown is None else self._caption(shown, context.second)
            room = picture.shape[1] - 2 * margin
            caption_box(tuple(filter(None, lines)), self._unit, room).over(picture, "top left", margin)
        if shown is not None and shown in self._bars:
            self._bars[shown].over(picture, "bottom right", margin)
        return picture

    def _caption(self, shown: ShownMap, second: float) -> tuple[str, ...]:
        """Return the caption; if there is room for one line only, what differs between the cells, or the label."""
        label, rest = self._summaries[shown.target].caption(shown.method, second)
        if self._lines > 1:
            return label, rest
        maps = [cell for cell in self._cells if cell is not None]
        parts = [label] if len({cell.target for cell in maps}) > 1 or len(maps) == 1 else []
        return (" · ".join([shown.method] * (len({cell.method for cell in maps}) > 1) + parts),)

    def _drop_large_parts(self) -> tuple[str, ...]:
        """Remove colour bars that are too large for a cell; returns a sentence about missing bars and captions."""
        cell, bars = self._grid.cell, len(self._bars)
        self._bars = {shown: bar for shown, bar in self._bars.items() if is_small_beside(bar, cell)}
        missing = ["the colour bar"] * (len(self._bars) < bars)
        if self._layout.caption and self._lines < 2:
            missing.append("the caption's second line" if self._lines else "the caption")
        if not missing:
            return ()
        return (f"frames of {cell[1]} × {cell[0]} are too small for {' and '.join(missing)}; use a larger --height",)


def _resized(frame: Frames, size: tuple[int, int]) -> Frames:
    if frame.shape[:2] == size:
        return frame
    height, width = size
    picture = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture)  # pillow: (width, height)
