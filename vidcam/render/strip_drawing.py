"""Draw a time strip. `sheet` and `video_strip` define its style on a contact sheet and below a video.

Time runs from left to right, and values are in [0, 1]. The probability of the target is a filled area. The evidence of
each map is a line over it. Below them the style may add the windows, as a row of bars, and their top labels.
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

DASHES: tuple[tuple[float, ...], ...] = ((), (4, 2.5), (1.5, 1.5), (6, 2, 1.5, 2), (2.5, 4), (8, 3))
"""Dash patterns of curves, in widths of the line. Through the gaps one sees the curves below."""

_LABEL_TEXT_COLOUR = "#ffffff"


@dataclass(frozen=True, slots=True)
class StripStyle:
    """Style of a strip: sizes, colours and the parts to draw.

    Attributes:
        unit_px: unit of all distances.
        text: text style of the tick labels.
        legend: text style of the legend.
        swatch_px: width and height of a colour swatch in the legend, gap between swatch and text, gap between entries.
        colours: colours of the curves, used in this order.
        dashes: dash pattern of each colour, in widths of the line; (): solid. Where curves coincide, all are visible.
        grid_colour: colour of the grid lines.
        line_px: width of the curves.
        opacity: opacity of the area of the probability.
        edge_px: width of the line on top of that area; 0: no line.
        scale: values with a horizontal grid line. Several lines get labels, a single one does not.
        has_windows: whether windows and top labels are drawn below the curves.
        evidence_text: legend text of a curve; {} is replaced by its name.
        probability_text: legend text of the probability; {} is replaced by ', ' and the target, or by nothing if there
            is only one target.
    """

    unit_px: int
    text: TextStyle
    legend: TextStyle
    swatch_px: tuple[float, float, float, float]
    colours: tuple[str, ...]
    dashes: tuple[tuple[float, ...], ...]
    grid_colour: str
    line_px: float
    opacity: float
    edge_px: float
    scale: tuple[float, ...]
    has_windows: bool
    evidence_text: str
    probability_text: str


def curve_colours(strip: TimeStrip, style: StripStyle) -> dict[str, str]:
    """Choose the colour of each curve: name → colour."""
    return dict(zip(strip.evidence, style.colours * len(strip.evidence), strict=False))


def curve_dashes(strip: TimeStrip, style: StripStyle) -> dict[str, tuple[float, ...]]:
    """Choose the dash pattern of each curve: name → lengths of dashes and gaps in pixels."""
    patterns = zip(strip.evidence, style.dashes * len(strip.evidence), strict=False)
    return {name: tuple(length * style.line_px for length in pattern) for name, pattern in patterns}


def draw_strip(
    canvas: Canvas, strip: TimeStrip, style: StripStyle, box: Box, *, frame_seconds: Sequence[float] | Seconds = ()
) -> float:
    """Draw a strip without its legend, and return the y position below the tick labels.

    The box is (left, top, right, bottom) of the curves. Ticks and windows are drawn below it, and labels of the scale
    on its left. Vertical lines mark the `frame_seconds`.
    """
    plot = _Plot(canvas, strip, style, box)
    plot.draw_probability()
    plot.draw_grid(np.asarray(frame_seconds, dtype=np.float64))
    plot.draw_evidence()
    y = box[3]
    if style.has_windows:
        plot.draw_windows(y + 0.15 * style.unit_px, 0.35 * style.unit_px)
        plot.draw_top_labels(y + 0.65 * style.unit_px, 1.4 * style.unit_px)
        y += 2.15 * style.unit_px
    plot.draw_ticks(y)
    return y + 0.4 * style.unit_px + style.text.line_px


def draw_legend(
    canvas: Canvas, strip: TimeStrip, style: StripStyle, box: tuple[float, float, float], *, rows: int | None = None
) -> float:
    """Draw the legend in rows, and return the y position of the last one.

    The box is (left, top, right) of the legend. Entries that `rows` rows have no room for are left out; None: there are
    as many rows as needed.
    """
    left, y, right = box
    width, height, gap, spacing = style.swatch_px
    dashes = curve_dashes(strip, style)
    entries = [
        (style.evidence_text.format(name), colour, dashes[name]) for name, colour in curve_colours(strip, style).items()
    ]
    if strip.has_probability:
        target = f", {strip.probability_of}" if strip.probability_of else ""
        entries.append((style.probability_text.format(target), PROBABILITY_COLOUR, ()))
    x, row = left, 1
    for text, colour, pattern in entries:
        text = canvas.elide(text, style.legend, right - left - width - gap)  # noqa: PLW2901
        end = x + width + gap + canvas.width_of(text, style.legend)
        if x > left and end > right:
            if row == rows:
                break
            x, y, row, end = left, y + style.legend.line_px, row + 1, end - x + left
        middle = y + style.legend.line_px / 2
        canvas.line([x, x + width], [middle, middle], colour, width_px=height, dashes_px=pattern)
        canvas.text(x + width + gap, y, text, style.legend)
        x = end + spacing
    return y


class _Plot:
    """Draws the curves of a strip inside a box, and the windows and ticks below it."""

    def __init__(self, canvas: Canvas, strip: TimeStrip, style: StripStyle, box: Box) -> None:
        self._canvas, self._strip, self._style = canvas, strip, style
        self._left, self._top, self._right, self._bottom = box

    def _x(self, seconds: Seconds | float) -> NDArray[np.float64]:
        return self._strip.x(seconds, self._left, self._right)

    def _y(self, values: Floats | float) -> NDArray[np.float64]:
        return np.asarray(self._bottom - values * (self._bottom - self._top))

    def draw_probability(self) -> None:
        """Draw the probability as an area with steps. It is interrupted where there is no window."""
        if not self._strip.has_probability:
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
        """Draw the horizontal grid lines, and a vertical line at each frame."""
        text, colour = self._style.text, self._style.grid_colour
        for value in self._style.scale:
            y = float(self._y(value))
            self._canvas.line([self._left, self._right], [y, y], colour)
            if len(self._style.scale) > 1:
                self._canvas.text(self._left - 12, y - text.line_px / 2, f"{value:g}", text, align="right")
        for x in self._x(frame_seconds):
            self._canvas.line([x, x], [self._top, self._bottom], colour)

    def draw_evidence(self) -> None:
        """Draw one line per map. It is constant before its first and after its last time."""
        x = np.concatenate([[self._left], self._x(self._strip.seconds), [self._right]])
        dashes = curve_dashes(self._strip, self._style)
        for name, colour in curve_colours(self._strip, self._style).items():
            values = self._strip.evidence[name]
            extended = np.concatenate([values[:1], values, values[-1:]])
            self._canvas.line(x, self._y(extended), colour, width_px=self._style.line_px, dashes_px=dashes[name])

    def draw_windows(self, top: float, height: float) -> None:
        """Draw one bar per window. Neighbours alternate between two rows, because they overlap.

        If the bars would be too narrow to see, draw one band instead.
        """
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

    def draw_top_labels(self, top: float, height: float) -> None:
        """Draw a box with the label for each run of windows with the same top label."""
        unit = self._style.unit_px
        style = TextStyle(self._style.text.size_px, _LABEL_TEXT_COLOUR)
        colours: dict[str, str] = {}
        if self._strip.top_labels and len(self._style.scale) > 1:  # there is room for names at the left
            y = top + (height - self._style.text.line_px) / 2
            self._canvas.text(self._left - 12, y, "top class", self._style.text, align="right")
        for label, left, right in self._runs():
            colour = colours.setdefault(label, LABEL_COLOURS[len(colours) % len(LABEL_COLOURS)])
            self._canvas.box(left, top, right - 1, top + height, colour)
            width = right - left - 0.6 * unit
            if width > 2.5 * unit:
                text = _truncate(self._canvas, label, style, width)
                self._canvas.text(left + 0.3 * unit, top + (height - style.line_px) / 2, text, style)

    def _runs(self) -> list[tuple[str, float, float]]:
        """Find the runs of equal top labels: (label, left, right) in pixels.

        Each pixel takes the label of the window whose centre is nearest in time.
        """
        if not self._strip.top_labels:
            return []
        centres = np.array([(window[0] + window[1]) / 2 for window in self._strip.windows])
        start, end = self._strip.span_seconds
        columns = np.arange(self._left, self._right)
        seconds = start + (columns + 0.5 - self._left) / (self._right - self._left) * (end - start)
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, seconds)
        labels = [self._strip.top_labels[window] for window in nearest.tolist()]
        runs, left = [], float(self._left)
        for label, group in groupby(labels):
            right = left + len(list(group))
            runs.append((label, left, right))
            left = right
        return runs

    def draw_ticks(self, y: float) -> None:
        """Draw ticks at round times, with labels."""
        unit, style = self._style.unit_px, self._style.text
        max_steps = max(1, int((self._right - self._left) // (7 * unit)))
        for tick in self._strip.ticks(max_steps).tolist():
            x, text = float(self._x(tick)), self._strip.time_label(tick)
            half_width = self._canvas.width_of(text, style) / 2
            self._canvas.line([x, x], [y, y + 0.3 * unit], style.colour)
            text_x = min(max(x, half_width), self._canvas.width_px - half_width)
            self._canvas.text(text_x, y + 0.4 * unit, text, style, align="center")


def _truncate(canvas: Canvas, text: str, style: TextStyle, width: float) -> str:
    """Shorten a label to a width. If fewer than 3 letters fit, return an empty string."""
    if canvas.width_of(text, style) <= width:
        return text
    length = next((n for n in range(len(text) - 1, 0, -1) if canvas.width_of(f"{text[:n]}…", style) <= width), 0)
    return f"{text[:length].rstrip()}…" if length > 2 else ""
