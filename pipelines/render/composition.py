"""The whole picture of a moment: one map or several beside the source, the words on it, the time strip below.

Several maps stand in a grid whose cells are the source's frames; together they stay within 4K, so that each is shrunk
where that needs it. What is drawn in a cell is drawn at the cell's own size, so that text stays legible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from vidcam.errors import InputError
from vidcam.media import Frames, Seconds
from vidcam.pipelines.render.frames import Look, Moment, Painter
from vidcam.pipelines.render.options import RenderOptions, Style
from vidcam.pipelines.render.summary import Shown, Story, caption, moments, relative
from vidcam.render.captions import Box, caption_box, caption_lines, colour_bar_box, is_small_beside, unit_of
from vidcam.render.video_strip import FilmStrip, StripPicture, strip_height
from vidcam.results.video import Film
from vidcam.video.limits import LONGEST_SIDE_PX, MOST_PIXELS

MOST_SIZE = (2160, 3840)
"""(height, width) that several maps take together at most."""

SCREEN = 2.2
"""Width over height of a screen, and rather wider: cells stand beside each other sooner than below."""

SOURCE = ("source", "")


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of one size in rows."""

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


class Composition:
    """Draws the picture of each moment.

    Args:
        film: the maps.
        shown: which of them.
        options: how.
        pts_seconds: (S,) the displayed frames that are drawn.
        end_seconds: where drawing ends.

    Attributes:
        size: (height, width) of the pictures.
        notes: what a frame of that size has no room for, as sentences.

    Raises:
        InputError: the pictures would be too large.
    """

    def __init__(
        self, film: Film, shown: tuple[Shown, ...], options: RenderOptions, pts_seconds: Seconds, end_seconds: float
    ) -> None:
        frame = _scaled(film.geometry.source_size, options.height)
        beside = options.style == "side-by-side"
        self._grid = grid_of(len(shown) + 1, frame) if beside else Grid(1, 1, frame)
        self._kind: Style = "overlay" if beside else options.style
        self._cells: tuple[Shown | None, ...] = (None, *shown) if beside else shown
        film = replace(film, geometry=replace(film.geometry, source_size=self._grid.cell))
        mean_rgb = (0.0, 0.0, 0.0) if film.origin is None else film.origin.mean_rgb
        look = Look(options.fill, mean_rgb, options.colours, options.opacity, options.has_outline)
        self._painter = Painter(film, look)
        self._stories = {each.target: Story(film, each.target) for each in shown}
        self._unit = unit_of(self._grid.cell)
        self._lines = caption_lines(self._grid.cell, self._unit) if options.has_caption else 0
        bars = self._colour_bars(film, shown) if options.has_bar and self._kind != "map" else {}
        self._bars = {each: bar for each, bar in bars.items() if is_small_beside(bar, self._grid.cell)}
        self.notes = self._what_is_left_out(has_caption=options.has_caption, bars=len(bars))
        height, width = self._grid.size
        self.size = (height + (strip_height(self._grid.size) if options.has_strip else 0), width)
        _require_possible(self.size)
        self._strip = self._time_strip(film, shown, pts_seconds, end_seconds) if options.has_strip else None

    def picture(self, second: float, frame: Frames) -> Frames:
        """The picture of a displayed frame (H, W, 3) uint8, of `size`, a new array."""
        moment = Moment(self._painter, second, _resized(frame, self._grid.cell))
        if len(self._cells) == 1 and self._strip is None:
            return self._cell(moment, self._cells[0])
        whole = np.zeros((*self.size, 3), np.uint8)
        for number, shown in enumerate(self._cells):
            whole[self._grid.place(number)] = self._cell(moment, shown)
        if self._strip is not None:
            whole[self._grid.size[0] :] = self._strip.at(second)
        return whole

    def _cell(self, moment: Moment, shown: Shown | None) -> Frames:
        margin = max(3, self._unit // 2)
        picture = moment.frame.copy() if shown is None else moment.picture(self._kind, shown.method, shown.target)
        if self._lines:
            lines = SOURCE if shown is None else self._caption(shown, moment.second)
            room = picture.shape[1] - 2 * margin
            caption_box(tuple(filter(None, lines)), self._unit, room).over(picture, "top left", margin)
        if shown is not None and shown in self._bars:
            self._bars[shown].over(picture, "bottom right", margin)
        return picture

    def _caption(self, shown: Shown, second: float) -> tuple[str, ...]:
        """Label, probability and method; on one line what tells a cell from its neighbours, or the label."""
        label, rest = caption(self._stories[shown.target], shown, second)
        if self._lines > 1:
            return label, rest
        others = [each for each in self._cells if each is not None]
        parts = [label] if len({each.target for each in others}) > 1 or len(others) == 1 else []
        return (" · ".join([shown.method] * (len({each.method for each in others}) > 1) + parts),)

    def _what_is_left_out(self, *, has_caption: bool, bars: int) -> tuple[str, ...]:
        missing = ["the colour bar"] * (len(self._bars) < bars)
        if has_caption and self._lines < 2:
            missing.append("the caption's second line" if self._lines else "the caption")
        if not missing:
            return ()
        height, width = self._grid.cell
        return (
            f"frames of {width} × {height} are too small for {' and '.join(missing)}; a larger --height makes room",
        )

    def _colour_bars(self, film: Film, shown: tuple[Shown, ...]) -> dict[Shown, Box]:
        return {
            each: colour_bar_box(self._painter.table, self._unit, film.bounds[each.target][each.method])
            for each in shown
        }

    def _time_strip(
        self, film: Film, shown: tuple[Shown, ...], pts_seconds: Seconds, end_seconds: float
    ) -> StripPicture:
        story, several = self._stories[shown[0].target], len({each.target for each in shown}) > 1
        seconds = np.maximum(moments(pts_seconds), float(film.timeline.starts[0]))
        curves = {
            f"{each.method}, {film.labels[each.target]}" if several else each.method: relative(
                film.evidence(each.method, seconds, target=each.target)
            )
            for each in shown
        }
        span = (float(pts_seconds[0]), end_seconds)
        inside = [n for n, window in enumerate(story.windows) if window[0] < span[1] and window[1] > span[0]]
        leaders = story.leaders()
        strip = FilmStrip(
            span,
            seconds,
            curves,
            [story.windows[n] for n in inside],
            [leaders[n] for n in inside],
            probability_of=film.labels[shown[0].target] if several else "",
        )
        return StripPicture(strip, self._grid.size)


def _require_possible(size: tuple[int, int]) -> None:
    if max(size) > LONGEST_SIDE_PX or size[0] * size[1] > MOST_PIXELS:
        raise InputError(
            f"the pictures would have {size[1]} × {size[0]} pixels, expected at most {LONGEST_SIDE_PX} a side and "
            f"{MOST_PIXELS // 10**6} million; choose a smaller height"
        )


def _scaled(size: tuple[int, int], height: int | None) -> tuple[int, int]:
    """A frame's size at another height, its shape kept."""
    return size if height is None else (height, max(1, round(size[1] * height / size[0])))


def _resized(frame: Frames, size: tuple[int, int]) -> Frames:
    if frame.shape[:2] == size:
        return frame
    height, width = size
    picture = Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(picture)  # pillow: (width, height)
