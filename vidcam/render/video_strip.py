"""The time strip below a film: evidence and probability over time, windows, what leads when, and a playhead.

From top to bottom: the evidence of each method as a line over the target's probability as an area; a comb of the
windows; a row of the labels that lead, as long as they lead; the time. Drawn once; a frame adds the playhead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import Floats
from vidcam.media import Seconds
from vidcam.render.canvas import Page, TextStyle
from vidcam.render.captions import unit_of
from vidcam.render.overlay import Frame
from vidcam.render.strip import Window, moment_label, probability_steps, tick_seconds

BACKGROUND = "#15171b"
METHOD_COLOURS = ("#ffb000", "#4cc3ff", "#7ee081", "#ff7ab6", "#c7a6ff", "#ffd9a0", "#9fe8e0", "#f2f2f2")
LABEL_COLOURS = ("#35507a", "#6b3f63", "#3f6650", "#7a5a2e", "#54467d", "#2f6470", "#7a3f3f", "#59602f")

_UNITS = 8.6  # height in units of the letters
_PROBABILITY, _GRID, _SOFT, _BRIGHT = "#8a8f98", "#3a3f47", "#a9aeb8", "#ffffff"


@dataclass(frozen=True, slots=True, eq=False)
class FilmStrip:
    """What the strip shows.

    Attributes:
        span_seconds: (start, end) of the whole strip.
        seconds: (S,) increasing, the moments of the evidence, S >= 1.
        evidence: name → (S,) in [0, 1].
        windows: (start_seconds, end_seconds, probability of the target) of each window, by start.
        leaders: the label that leads in each window; as many as windows, or none.
        probability_of: whose probability the windows have, where several are shown.
    """

    span_seconds: tuple[float, float]
    seconds: Seconds
    evidence: Mapping[str, Floats] = field(repr=False)
    windows: Sequence[Window] = field(default=(), repr=False)
    leaders: Sequence[str] = field(default=(), repr=False)
    probability_of: str = ""

    def __post_init__(self) -> None:
        if not self.span_seconds[0] < self.span_seconds[1]:
            raise ShapeError(f"span_seconds is {self.span_seconds}, its start must lie before its end")
        if len(self.leaders) not in {0, len(self.windows)}:
            raise ShapeError(f"a strip needs a leader for each of {len(self.windows)} windows, got {len(self.leaders)}")
        for name, values in self.evidence.items():
            if values.shape != self.seconds.shape or not self.seconds.size:
                raise ShapeError(f"the evidence of {name!r} must be {self.seconds.shape = }, got {values.shape = }")


def strip_height(size: tuple[int, int]) -> int:
    """Height of the strip below a frame of (height, width), an even number of pixels."""
    return 2 * round(unit_of(size) * _UNITS / 2)


class StripPicture:
    """The strip as pixels, and the playhead over it.

    Args:
        strip: what it shows.
        size: (height, width) of the frames it stands below.
    """

    def __init__(self, strip: FilmStrip, size: tuple[int, int]) -> None:
        self._strip, self._unit, self._width = strip, unit_of(size), size[1]
        self._height = strip_height(size)
        self._left, self._right = round(1.2 * self._unit), self._width - round(1.2 * self._unit)
        self._picture = self._drawn()

    def at(self, second: float) -> Frame:
        """(h, W, 3) uint8: the strip with its playhead at a moment, a new array."""
        picture = self._picture.copy()
        half, x = self._unit // 14, round(float(self._x(np.array([second]))[0]))
        top, bottom = (round(y) for y in self._playhead)
        around = 2 * half + 1
        picture[top:bottom, max(0, x - around) : x + around + 1] //= 2
        picture[top:bottom, max(0, x - half) : x + half + 1] = 255
        return picture

    def _x(self, seconds: Seconds) -> NDArray[np.float64]:
        start, end = self._strip.span_seconds
        share = (np.clip(seconds, start, end) - start) / (end - start)
        return np.asarray(self._left + share * (self._right - self._left))

    def _drawn(self) -> Frame:
        unit, page = self._unit, Page(self._width)
        y = self._draw_legend(page, round(0.2 * unit))
        plot = (y, y + 2.6 * unit)
        self._draw_probability(page, plot)
        for name, colour in self._colours().items():
            self._draw_line(page, plot, self._strip.evidence[name], colour)
        page.line([self._left, self._right], [plot[1], plot[1]], _GRID)
        self._playhead = (plot[0], plot[1] + 2.2 * unit)
        self._draw_windows(page, plot[1] + 0.15 * unit, 0.35 * unit)
        self._draw_leaders(page, plot[1] + 0.65 * unit)
        self._draw_ticks(page, plot[1] + 2.25 * unit)
        return page.to_pixels(self._height, background=BACKGROUND)

    def _colours(self) -> dict[str, str]:
        return dict(zip(self._strip.evidence, METHOD_COLOURS * len(self._strip.evidence), strict=False))

    def _draw_legend(self, page: Page, y: float) -> float:
        x, style = float(self._left), TextStyle(round(0.9 * self._unit), _SOFT)
        entries = {f"evidence, {name}": colour for name, colour in self._colours().items()}
        if self._strip.windows:
            entries[", ".join(filter(None, ("probability", self._strip.probability_of)))] = _PROBABILITY
        for text, colour in entries.items():
            width = page.width_of(text, style) + 1.5 * self._unit
            if x + width > self._right:
                break
            middle = y + style.line_px / 2
            page.box(x, middle - self._unit * 0.2, x + self._unit * 0.8, middle + self._unit * 0.2, colour)
            page.text(x + 1.1 * self._unit, y, text, style)
            x += width + 0.8 * self._unit
        return y + style.line_px + 0.15 * self._unit

    def _draw_probability(self, page: Page, plot: tuple[float, float]) -> None:
        if not self._strip.windows:
            return
        edges, values = probability_steps(self._strip.windows)
        x = np.repeat(self._x(edges), 2)[1:-1]
        y = np.repeat(plot[1] - np.nan_to_num(values) * (plot[1] - plot[0]), 2)
        page.area([*x, x[-1], x[0]], [*y, plot[1], plot[1]], _PROBABILITY, opacity=0.45)

    def _draw_line(self, page: Page, plot: tuple[float, float], values: Floats, colour: str) -> None:
        x = np.concatenate([[self._left], self._x(self._strip.seconds), [self._right]])
        held = np.concatenate([values[:1], values, values[-1:]])
        page.line(x, plot[1] - held * (plot[1] - plot[0]), colour, width_px=max(1.5, self._unit / 7))

    def _draw_windows(self, page: Page, top: float, height: float) -> None:
        """One bar a window, in two rows as neighbours overlap; a plain band where they would be too narrow to see."""
        if not self._strip.windows:
            return
        starts, ends = (self._x(np.array([window[side] for window in self._strip.windows])) for side in (0, 1))
        if float(np.median(ends - starts)) < 5:
            page.box(starts.min(), top, ends.max(), top + height, _GRID)
            return
        for index, (left, right) in enumerate(zip(starts, ends, strict=True)):
            y = top + (index % 2) * height / 2
            page.box(left + 1, y, max(left + 2, right - 1), y + height / 2 - 1, _SOFT, opacity=0.7)

    def _draw_leaders(self, page: Page, top: float) -> None:
        style, height = TextStyle(round(0.9 * self._unit), _BRIGHT), 1.4 * self._unit
        colours: dict[str, str] = {}
        for label, left, right in self._runs():
            colour = colours.setdefault(label, LABEL_COLOURS[len(colours) % len(LABEL_COLOURS)])
            page.box(left, top, right - 1, top + height, colour)
            room = right - left - 0.6 * self._unit
            if room > 2.5 * self._unit:
                y = top + (height - style.line_px) / 2
                page.text(left + 0.3 * self._unit, y, _cut(page, label, style, room), style)

    def _runs(self) -> list[tuple[str, float, float]]:
        """(label, left, right) in pixels: how long a label leads, at each pixel the window whose middle is nearest."""
        if not self._strip.leaders:
            return []
        middles = np.array([(window[0] + window[1]) / 2 for window in self._strip.windows])
        start, end = self._strip.span_seconds
        columns = np.arange(self._left, self._right)
        moments = start + (columns + 0.5 - self._left) / (self._right - self._left) * (end - start)
        nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, moments)
        runs = []
        for label, group in groupby(zip(columns.tolist(), nearest.tolist(), strict=True), self._leader):
            places = [column for column, _ in group]
            runs.append((label, float(places[0]), float(places[-1] + 1)))
        return runs

    def _leader(self, place: tuple[int, int]) -> str:
        return self._strip.leaders[place[1]]

    def _draw_ticks(self, page: Page, y: float) -> None:
        style = TextStyle(round(0.9 * self._unit), _SOFT)
        most = max(1, int((self._right - self._left) // (7 * self._unit)))
        for tick in tick_seconds(self._strip.span_seconds, most=most):
            x = float(self._x(np.array([tick]))[0])
            text = moment_label(float(tick), self._strip.span_seconds)
            half = page.width_of(text, style) / 2
            page.line([x, x], [y - 0.1 * self._unit, y + 0.15 * self._unit], _SOFT)
            page.text(min(max(x, half), self._width - half), y + 0.1 * self._unit, text, style, align="center")


def _cut(page: Page, text: str, style: TextStyle, room: float) -> str:
    """The beginning of a label that fits; nothing rather than a letter or two."""
    if page.width_of(text, style) <= room:
        return text
    kept = next((n for n in range(len(text) - 1, 0, -1) if page.width_of(f"{text[:n]}…", style) <= room), 0)
    return f"{text[:kept].rstrip()}…" if kept > 2 else ""
