"""Content of a time strip: evidence of each map over time, probability of the target over time, and the windows.

A time strip is drawn on a contact sheet and below a video, see `strip_drawing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.media import Seconds

Window = tuple[float, float, float]

_MINUTES_FROM_SECONDS = 120.0  # strips of this length have labels in minutes
_STEPS_BELOW_A_MINUTE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
_TICK_STEPS = (*_STEPS_BELOW_A_MINUTE, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True, eq=False)
class TimeStrip:
    """The content of a time strip.

    Attributes:
        span_seconds: (start, end) of the strip.
        seconds: (S,) increasing times of the evidence, S >= 1.
        evidence: name of the map → (S,) in [0, 1].
        windows: (start_seconds, end_seconds, probability of the target) of each window, sorted by start. Windows may
            overlap. The probability is NaN in all of them if the model returns values.
        top_labels: label with the highest score in each window; empty: not shown.
        probability_of: label of the target to which the probabilities belong; empty if there is only one target.
    """

    span_seconds: tuple[float, float]
    seconds: Seconds
    evidence: Mapping[str, Floats] = field(repr=False)
    windows: Sequence[Window] = field(default=(), repr=False)
    top_labels: Sequence[str] = field(default=(), repr=False)
    probability_of: str = ""

    @property
    def has_probability(self) -> bool:
        """Whether any window has a probability."""
        return any(not np.isnan(window[2]) for window in self.windows)

    def x(self, seconds: Seconds | float, left: float, right: float) -> NDArray[np.float64]:
        """Compute the x positions of times, in pixels, on a strip from `left` to `right`."""
        start, end = self.span_seconds
        return np.asarray(left + (np.clip(seconds, start, end) - start) * ((right - left) / (end - start)))

    def ticks(self, max_steps: int) -> NDArray[np.float64]:
        """Choose round times for ticks inside the span, with at most `max_steps` steps between them.

        A step is 1, 2 or 5 times a power of ten, or a number of minutes.
        """
        start, end = self.span_seconds
        min_step = (end - start) / max_steps
        step = next((step for step in _TICK_STEPS if step >= min_step), min_step)
        first, last = np.ceil(start / step - 1e-9), np.floor(end / step + 1e-9)
        return np.asarray(np.arange(first, last + 1) * step)

    def time_label(self, seconds: float, *, digits: int | None = None) -> str:
        """Format a time as '12.5 s', or as '3:05' on a strip of 2 minutes or more.

        Args:
            seconds: the time.
            digits: digits after the decimal point of seconds; None: as many as needed, at most 3.
        """
        if self.span_seconds[1] - self.span_seconds[0] >= _MINUTES_FROM_SECONDS:
            minutes, rest = divmod(round(seconds), 60)
            return f"{minutes}:{rest:02d}"
        if digits is not None:
            return f"{seconds:.{digits}f} s"
        return f"{float(f'{seconds:.3f}') + 0.0:.10g} s"


def probability_steps(windows: Sequence[Window]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the probability over time: the mean over the windows that cover a time.

    Returns:
        Increasing edges (E + 1,) in seconds, and the values between them (E,), NaN where there is no window.
    """
    spans = np.asarray(windows, dtype=np.float64)
    edges, indices = np.unique(spans[:, :2], return_inverse=True)
    starts, ends = indices.reshape(-1, 2).T
    counts, sums = (
        (np.bincount(starts, weights, edges.size) - np.bincount(ends, weights, edges.size)).cumsum()[:-1]
        for weights in (np.ones(len(spans)), spans[:, 2])
    )
    values = np.full(edges.size - 1, np.nan)
    np.divide(sums, counts, out=values, where=counts > 0.5)
    return edges, np.clip(values, 0.0, 1.0)
