"""The time strip: evidence over time for each method, and the target's probability, below the film.

Seconds run from left to right over the film's whole width; heights are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import Floats
from vidcam.media import Seconds
from vidcam.render.canvas import Page, TextStyle

Window = tuple[float, float, float]
Box = tuple[float, float, float, float]

PROBABILITY_COLOUR = "#8a8f98"
_GRID_COLOUR = "#d9dce1"
_TICK = TextStyle(17, "#5c6068")
_TICK_ROOM_PX = 140
_MINUTES_FROM_SECONDS = 120.0
_ROUND_STEPS = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1800,
    3600,
)


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """What the time strip shows.

    Attributes:
        span_seconds: (start, end) of the whole strip.
        seconds: (S,) increasing, the moments of the evidence, S >= 1.
        evidence: method → (S,) in [0, 1].
        windows: (start_seconds, end_seconds, probability of the target) of each window; they may overlap.
    """

    span_seconds: tuple[float, float]
    seconds: Seconds
    evidence: Mapping[str, Floats] = field(repr=False)
    windows: Sequence[Window] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        start, end = self.span_seconds
        if not start < end:
            raise ShapeError(f"span_seconds is {self.span_seconds}, its start must lie before its end")
        if self.seconds.ndim != 1 or self.seconds.size == 0 or np.any(np.diff(self.seconds) <= 0):
            raise ShapeError(f"seconds must be (S,) with S >= 1 and increase, got {self.seconds.shape = }")
        for method, values in self.evidence.items():
            if values.shape != self.seconds.shape or not np.all((values >= 0.0) & (values <= 1.0)):
                raise ShapeError(
                    f"the evidence of {method!r} must be {self.seconds.shape} in [0, 1], got {values.shape = }, "
                    f"{np.min(values, initial=np.inf)} to {np.max(values, initial=-np.inf)}"
                )
        for window in self.windows:
            if not (window[0] < window[1] and 0.0 <= window[2] <= 1.0):
                raise ShapeError(f"a window must be (start, later end, probability in [0, 1]), got {window}")


def probability_steps(windows: Sequence[Window]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probability over time: at each moment the mean of the windows that cover it.

    Returns:
        edges (E + 1,) in seconds, increasing, and values (E,): NaN where no window covers.
    """
    spans = np.asarray(windows, dtype=np.float64)
    edges, place = np.unique(spans[:, :2], return_inverse=True)
    begins, ends = place.reshape(-1, 2).T
    counts, sums = (
        (np.bincount(begins, each, edges.size) - np.bincount(ends, each, edges.size)).cumsum()[:-1]
        for each in (np.ones(len(spans)), spans[:, 2])
    )
    values = np.full(edges.size - 1, np.nan)
    np.divide(sums, counts, out=values, where=counts > 0.5)
    return edges, np.clip(values, 0.0, 1.0)


def tick_seconds(span_seconds: tuple[float, float], most: int) -> NDArray[np.float64]:
    """Round moments inside the span, at most `most` + 1 of them: 1, 2 or 5 times a power of ten apart, or minutes."""
    start, end = span_seconds
    step = next((step for step in _ROUND_STEPS if step >= (end - start) / most), (end - start) / most)
    first, last = np.ceil(start / step - 1e-9), np.floor(end / step + 1e-9)
    return np.asarray(np.arange(first, last + 1) * step)


def draw_strip(page: Page, strip: Strip, box: Box, *, frame_seconds: Seconds, colours: Mapping[str, str]) -> float:
    """Draws the strip with its ticks into (left, top, right, bottom); returns the height where the labels end."""
    left, top, right, bottom = box
    _draw_probability(page, strip, box)
    for height in (0.0, 0.5, 1.0):
        y = float(_y(height, box))
        page.line([left, right], [y, y], _GRID_COLOUR)
        page.text(left - 12, y - _TICK.line_px / 2, f"{height:g}", _TICK, align="right")
    for x in _x(frame_seconds, strip, box):
        page.line([x, x], [top, bottom], _GRID_COLOUR)
    for method, values in strip.evidence.items():
        _draw_evidence(page, strip, box, values, colours[method])
    _draw_ticks(page, strip, box)
    return bottom + 8 + _TICK.line_px


def strip_x(seconds: Seconds, strip: Strip, left: float, right: float) -> NDArray[np.float64]:
    """Where moments lie between the strip's left and right end, in pixels."""
    start, end = strip.span_seconds
    return np.asarray(left + (np.clip(seconds, start, end) - start) * ((right - left) / (end - start)))


def _x(seconds: Seconds, strip: Strip, box: Box) -> NDArray[np.float64]:
    return strip_x(seconds, strip, box[0], box[2])


def _y(value: float | Floats, box: Box) -> NDArray[np.float64]:
    return np.asarray(box[3] - value * (box[3] - box[1]))


def _draw_probability(page: Page, strip: Strip, box: Box) -> None:
    """An area with steps on top; a moment that no window covers breaks it."""
    if not strip.windows:
        return
    edges, values = probability_steps(strip.windows)
    x, y = np.repeat(_x(edges, strip, box), 2)[1:-1], np.repeat(_y(values, box), 2)
    breaks = np.flatnonzero(np.diff(np.isfinite(y)) != 0) + 1
    for run_x, run_y in zip(np.split(x, breaks), np.split(y, breaks), strict=True):
        if np.isfinite(run_y[0]):
            page.area([*run_x, run_x[-1], run_x[0]], [*run_y, box[3], box[3]], PROBABILITY_COLOUR, opacity=0.2)
            page.line(run_x, run_y, PROBABILITY_COLOUR, width_px=1.5)


def _draw_evidence(page: Page, strip: Strip, box: Box, values: Floats, colour: str) -> None:
    """A line, held before the first and after the last moment."""
    x = np.concatenate([[box[0]], _x(strip.seconds, strip, box), [box[2]]])
    page.line(x, _y(np.concatenate([values[:1], values, values[-1:]]), box), colour, width_px=2.5)


def _draw_ticks(page: Page, strip: Strip, box: Box) -> None:
    left, _, right, bottom = box
    ticks = tick_seconds(strip.span_seconds, most=int((right - left) // _TICK_ROOM_PX))
    for tick, x in zip(ticks, _x(ticks, strip, box), strict=True):
        page.line([x, x], [bottom, bottom + 6], _TICK.colour)
        page.text(x, bottom + 8, moment_label(tick, strip.span_seconds), _TICK, align="center")


def moment_label(seconds: float, span_seconds: tuple[float, float], *, digits: int | None = None) -> str:
    """'12.5 s', or '3:05' if the strip spans minutes; with `digits` always so many of them behind the point."""
    length = span_seconds[1] - span_seconds[0]
    if length >= _MINUTES_FROM_SECONDS:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}:{rest:02d}"
    if digits is not None:
        return f"{seconds:.{digits}f} s"
    return f"{float(f'{seconds:.3f}') + 0.0:.10g} s"
