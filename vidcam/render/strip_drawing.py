"""Draw a time strip; a `StripStyle` says how: that of a contact sheet in `sheet`, that below a video in `video_strip`.

Seconds run from left to right, heights are in [0, 1]. Each map's evidence is a line over the target's probability,
which is an area. Below the curves the style may add the windows, as a comb, and the labels that lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.media import Seconds
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.strip import TimeStrip, probability_steps

Box = tuple[float, float, float, float]

LABEL_COLOURS = ("#35507a", "#6b3f63", "#3f6650", "#7a5a2e", "#54467d", "#2f6470", "#7a3f3f", "#59602f")
PROBABILITY_COLOUR = "#8a8f98"

_LEADER_COLOUR = "#ffffff"


@dataclass(frozen=True, slots=True)
class StripStyle:
    """Sizes and colours of a strip, and what is drawn of it.

    Attributes:
        unit_px: size to which distances are proportional.
        text: style of the ticks' labels.
        legend: style of the legend.
        swatch_px: (width, height) of a colour in the legend, room between it and its text, and between entries.
        colours: of the curves, in turn.
        grid_colour: of the scale's lines.
        line_px: width of the curves.
        opacity: of the probability's area.
        edge_px: width of the line on top of that area; 0: none.
        scale: heights at which a line is drawn; labelled if there are several.
        has_windows: whether the windows and the labels that lead are drawn below the curves.
        evidence_text: legend of a curve, with its name for {}.
        probability_text: legend of the probability, with ", " and whose it is for {}, where several are shown.
    """

    unit_px: int
    text: TextStyle
    legend: TextStyle
    swatch_px: tuple[float, float, float, float]
    colours: tuple[str, ...]
    grid_colour: str
    line_px: float
    opacity: float
    edge_px: float
    scale: tuple[float, ...]
    has_windows: bool
    evidence_text: str
    probability_text: str


def curve_colours(strip: TimeStrip, style: StripStyle) -> dict[str, str]:
    """Name → colour of each curve."""
    return dict(zip(strip.evidence, style.colours * len(strip.evidence), strict=False))


def draw_strip(
    canvas: Canvas, strip: TimeStrip, style: StripStyle, box: Box, *, frame_seconds: Sequence[float] | Seconds = ()
) -> float:
    """Draw a strip without its legend.

    Args:
        canvas: what is drawn on.
        strip: what is drawn.
        style: how.
        box: (left, top, right, bottom) of the curves; the rest is below and, with a labelled scale, left of them.
        frame_seconds: moments that are marked by vertical lines.

    Returns:
        The height where the ticks' labels end.
    """
    plot = _Plot(canvas, strip, style, box)
    plot.draw_probability()
    plot.draw_grid(np.asarray(frame_seconds, dtype=np.float64))
    plot.draw_evidence()
    y = box[3]
    if style.has_windows:
        plot.draw_windows(y + 0.15 * style.unit_px, 0.35 * style.unit_px)
        plot.draw_leaders(y + 0.65 * style.unit_px, 1.4 * style.unit_px)
        y += 2.15 * style.unit_px
    plot.draw_ticks(y)
    return y + 0.4 * style.unit_px + style.text.line_px


def draw_legend(
    canvas: Canvas, strip: TimeStrip, style: StripStyle, box: tuple[float, float, float], *, rows: int | None = None
) -> float:
    """Draw which curve is which, in rows.

    Args:
        canvas: what is drawn on.
        strip: what is explained.
        style: how.
        box: (left, top, right).
        rows: at most so many; what has no room is left out. None: as many as needed.

    Returns:
        The top of the last row.
    """
    left, y, right = box
    width, height, gap, spacing = style.swatch_px
    entries = [(style.evidence_text.format(name), colour) for name, colour in curve_colours(strip, style).items()]
    if strip.windows:
        of = f", {strip.probability_of}" if strip.probability_of else ""
        entries.append((style.probability_text.format(of), PROBABILITY_COLOUR))
    x, row = left, 1
    for text, colour in entries:
        text = canvas.elide(text, style.legend, right - left - width - gap)  # noqa: PLW2901
        end = x + width + gap + canvas.width_of(text, style.legend)
        if x > left and end > right:
            if row == rows:
                break
            x, y, row, end = left, y + style.legend.line_px, row + 1, end - x + left
        middle = y + style.legend.line_px / 2
        canvas.box(x, middle - height / 2, x + width, middle + height / 2, colour)
        canvas.text(x + width + gap, y, text, style.legend)
        x = end + spacing
    return y


class _Plot:
    """Curves of a strip inside a box, and what stands below them."""

    def __init__(self, canvas: Canvas, strip: TimeStrip, style: StripStyle, box: Box) -> None:
        self._canvas, self._strip, self._style = canvas, strip, style
        self._left, self._top, self._right, self._bottom = box

    def _x(self, seconds: Seconds | float) -> NDArray[np.float64]:
        return self._strip.x(seconds, self._left, self._right)

    def _y(self, values: Floats | float) -> NDArray[np.float64]:
        return np.asarray(self._bottom - values * (self._bottom - self._top))

    def draw_probability(self) -> None:
        """An area with steps on top; a moment that no window covers breaks it."""
        if not self._strip.windows:
            return
        edges, values = probability_steps(self._strip.windows)
        x, y = np.repeat(self._x(edges), 2)[1:-1], np.repeat(self._y(values), 2)
        breaks = np.flatnonzero(np.diff(np.isfinite(y)) != 0) + 1
        for run_x, run_y in zip(np.split(x, breaks), np.split(y, breaks), strict=True):
            if np.isfinite(run_y[0]):
                outline_x, outline_y = [*run_x, run_x[-1], run_x[0]], [*run_y, self._bottom, self._bottom]
                self._canvas.area(outline_x, outline_y, PROBABILITY_COLOUR, opacity=self._style.opacity)
                if self._style.edge_px:
                    self._canvas.line(run_x, run_y, PROBABILITY_COLOUR, width_px=self._style.edge_px)

    def draw_grid(self, frame_seconds: Seconds) -> None:
        """The lines of the scale, and one at each frame."""
        text, colour = self._style.text, self._style.grid_colour
        for height in self._style.scale:
            y = float(self._y(height))
            self._canvas.line([self._left, self._right], [y, y], colour)
            if len(self._style.scale) > 1:
                self._canvas.text(self._left - 12, y - text.line_px / 2, f"{height:g}", text, align="right")
        for x in self._x(frame_seconds):
            self._canvas.line([x, x], [self._top, self._bottom], colour)

    def draw_evidence(self) -> None:
        """One line a map, held before the first and after the last moment."""
        x = np.concatenate([[self._left], self._x(self._strip.seconds), [self._right]])
        for name, colour in curve_colours(self._strip, self._style).items():
            values = self._strip.evidence[name]
            held = np.concatenate([values[:1], values, values[-1:]])
            self._canvas.line(x, self._y(held), colour, width_px=self._style.line_px)

    def draw_windows(self, top: float, height: float) -> None:
        """One bar a window, in two rows as neighbours overlap; a plain band where they would be too narrow to see."""
        if not self._strip.windows:
            return
        starts, ends = (self._x(np.array([window[side] for window in self._strip.windows])) for side in (0, 1))
        if float(np.median(ends - starts)) < 5:
            self._canvas.box(starts.min(), top, ends.max(), top + height, self._style.grid_colour)
            return
        for index, (left, right) in enumerate(zip(starts, ends, strict=True)):
            y = top + (index % 2) * height / 2
            colour = self._style.text.colour
            self._canvas.box(left + 1, y, max(left + 2, right - 1), y + height / 2 - 1, colour, opacity=0.7)

    def draw_leaders(self, top: float, height: float) -> None:
        """A box for each run of windows in which a label leads."""
        unit = self._style.unit_px
        style = TextStyle(self._style.text.size_px, _LEADER_COLOUR)
        colours: dict[str, str] = {}
        for label, left, right in self._runs():
            colour = colours.setdefault(label, LABEL_COLOURS[len(colours) % len(LABEL_COLOURS)])
            self._canvas.box(left, top, right - 1, top + height, colour)
            room = right - left - 0.6 * unit
            if room > 2.5 * unit:
                text = _cut(self._canvas, label, style, room)
                self._canvas.text(left + 0.3 * unit, top + (height - style.line_px) / 2, text, style)

    def _runs(self) -> list[tuple[str, float, float]]:
        """(label, left, right) in pixels: how long a label leads; each pixel has the window of the nearest middle."""
        if not self._strip.leaders:
            return []
        middles = np.array([(window[0] + window[1]) / 2 for window in self._strip.windows])
        start, end = self._strip.span_seconds
        columns = np.arange(self._left, self._right)
        moments = start + (columns + 0.5 - self._left) / (self._right - self._left) * (end - start)
        nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, moments)
        labels = [self._strip.leaders[window] for window in nearest.tolist()]
        runs, left = [], float(self._left)
        for label, group in groupby(labels):
            right = left + len(list(group))
            runs.append((label, left, right))
            left = right
        return runs

    def draw_ticks(self, y: float) -> None:
        """Round moments with their labels."""
        unit, style = self._style.unit_px, self._style.text
        most = max(1, int((self._right - self._left) // (7 * unit)))
        for tick in self._strip.ticks(most).tolist():
            x, text = float(self._x(tick)), self._strip.moment_label(tick)
            half = self._canvas.width_of(text, style) / 2
            self._canvas.line([x, x], [y, y + 0.3 * unit], style.colour)
            inside = min(max(x, half), self._canvas.width_px - half)
            self._canvas.text(inside, y + 0.4 * unit, text, style, align="center")


def _cut(canvas: Canvas, text: str, style: TextStyle, room: float) -> str:
    """The beginning of a label that fits; nothing rather than a letter or two."""
    if canvas.width_of(text, style) <= room:
        return text
    kept = next((n for n in range(len(text) - 1, 0, -1) if canvas.width_of(f"{text[:n]}…", style) <= room), 0)
    return f"{text[:kept].rstrip()}…" if kept > 2 else ""
