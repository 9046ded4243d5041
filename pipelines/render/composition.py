"""The whole picture at a moment: one map or several beside the source, their captions, the time strip below.

Several maps stand in a grid whose cells are the source's frames; together they stay within 4K, so that each is shrunk
where that needs it. What is drawn in a cell is drawn at the cell's own size, so that text stays legible.
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
"""(height, width) that several maps take together at most."""

SCREEN = 2.2
"""Width over height of a screen, and rather wider: cells stand beside each other sooner than below."""

SOURCE = ("source", "")


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of one (height, width) in rows."""

    rows: int
    columns: int
    cell: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of all."""
        return self.rows * self.cell[0], self.columns * self.cell[1]

    def place(self, number: int) -> tuple[slice, slice]:
        """Rows and columns of a cell."""
        row, column = divmod(number, self.columns)
        height, width = self.cell
        return slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)


def grid_of(count: int, size: tuple[int, int]) -> Grid:
    """The grid for so many frames of (height, width): large cells, few of them empty, a screen's shape."""
    grids = [_grid(-(-count // columns), columns, size) for columns in range(count, 0, -1)]

    def worth(grid: Grid) -> tuple[float, float]:
        used = count / (grid.rows * grid.columns)
        shape = abs(float(np.log(grid.size[1] / grid.size[0] / SCREEN)))
        return round(grid.cell[0] * grid.cell[1] * used**3), -shape

    return max(grids, key=worth)


def _grid(rows: int, columns: int, size: tuple[int, int]) -> Grid:
    scale = min(1.0, MOST_SIZE[0] / (rows * size[0]), MOST_SIZE[1] / (columns * size[1]))
    return Grid(rows, columns, (max(1, int(size[0] * scale)), max(1, int(size[1] * scale))))


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands where in a picture.

    Attributes:
        grid: the cells.
        kind: how a map is drawn in its cell.
        has_source: whether the first cell is the source without a map.
        caption: whether label, probability and method are written into each cell.
        colorbar: whether each map has a colour bar.
        strip: whether the time strip stands below.

    Raises:
        InputError: the pictures would be too large.
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
                f"the pictures would have {width} × {height} pixels, expected at most {MAX_SIDE_PX} a side and "
                f"{MAX_PIXELS // 10**6} million; choose a smaller height"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures."""
        height, width = self.grid.size
        return height + (strip_height(self.grid.size) if self.strip else 0), width


class Composition:
    """Draws the picture of each moment.

    Args:
        video: the explanation.
        maps: which of its maps.
        style: how they are drawn.
        layout: where they stand.
        pts_seconds: (S,) the displayed frames that are drawn.
        end_seconds: where drawing ends.

    Attributes:
        notes: what a frame of that size has no room for, as sentences.
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
        self._summaries = {each.target: VideoSummary(explanation, each.target) for each in maps}
        self._unit = unit_of(self._grid.cell)
        self._lines = caption_lines(self._grid.cell, self._unit) if layout.caption else 0
        self._bars: dict[ShownMap, Box] = {}
        if layout.colorbar and layout.kind != "map":
            bounds = {each: explanation.bounds[each.target][each.method] for each in maps}
            self._bars = {each: colour_bar_box(style.table, self._unit, raw) for each, raw in bounds.items()}
        self.notes = self._drop_what_does_not_fit()
        self._strip: VideoStrip | None = None
        if layout.strip:
            strip = time_strip(explanation, maps, pts_seconds, (float(pts_seconds[0]), end_seconds))
            self._strip = VideoStrip(strip, self._grid.size)

    def picture(self, second: float, frame: Frames) -> Frames:
        """The picture of a displayed frame (H, W, 3) uint8, of the layout's size, a new array."""
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
        """Label, probability and method; on one line what tells a cell from its neighbours, or the label."""
        label, rest = self._summaries[shown.target].caption(shown.method, second)
        if self._lines > 1:
            return label, rest
        others = [each for each in self._cells if each is not None]
        parts = [label] if len({each.target for each in others}) > 1 or len(others) == 1 else []
        return (" · ".join([shown.method] * (len({each.method for each in others}) > 1) + parts),)

    def _drop_what_does_not_fit(self) -> tuple[str, ...]:
        """Leave out colour bars that are too large; a sentence about these and about captions."""
        cell, bars = self._grid.cell, len(self._bars)
        self._bars = {each: bar for each, bar in self._bars.items() if is_small_beside(bar, cell)}
        missing = ["the colour bar"] * (len(self._bars) < bars)
        if self._layout.caption and self._lines < 2:
            missing.append("the caption's second line" if self._lines else "the caption")
        if not missing:
            return ()
        return (
            f"frames of {cell[1]} × {cell[0]} are too small for {' and '.join(missing)}; a larger --height makes room",
        )


def _resized(frame: Frames, size: tuple[int, int]) -> Frames:
    if frame.shape[:2] == size:
        return frame
    height, width = size
    picture = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture)  # pillow: (width, height)
