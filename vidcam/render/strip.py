"""The content of a time strip: evidence of each map and the target's probability over time, and the windows.

It is drawn on a contact sheet and below a video; see `strip_drawing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import Floats
from vidcam.media import Seconds

Window = tuple[float, float, float]

_MINUTES_FROM_SECONDS = 120.0
_BELOW_A_MINUTE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
_ROUND_STEPS = (*_BELOW_A_MINUTE, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True, eq=False)
class TimeStrip:
    """What a time strip shows.

    Attributes:
        span_seconds: (start, end) of the whole strip.
        seconds: (S,) increasing, the moments of the evidence, S >= 1.
        evidence: name → (S,) in [0, 1].
        windows: (start_seconds, end_seconds, probability of the target) of each window, by start; they may overlap.
        leaders: the label with the highest score in each window; as many as windows, or none.
        probability_of: the target of these probabilities, where several are shown.
    """

    span_seconds: tuple[float, float]
    seconds: Seconds
    evidence: Mapping[str, Floats] = field(repr=False)
    windows: Sequence[Window] = field(default=(), repr=False)
    leaders: Sequence[str] = field(default=(), repr=False)
    probability_of: str = ""

    def __post_init__(self) -> None:
        start, end = self.span_seconds
        if not start < end:
            raise ShapeError(f"span_seconds is {self.span_seconds}, its start must lie before its end")
        if self.seconds.ndim != 1 or self.seconds.size == 0 or np.any(np.diff(self.seconds) <= 0):
            raise ShapeError(f"seconds must be (S,) with S >= 1 and increase, got {self.seconds.shape = }")
        for name, values in self.evidence.items():
            if values.shape != self.seconds.shape or not np.all((values >= 0.0) & (values <= 1.0)):
                raise ShapeError(
                    f"the evidence of {name!r} must be {self.seconds.shape} in [0, 1], got {values.shape = }, "
                    f"{np.min(values, initial=np.inf)} to {np.max(values, initial=-np.inf)}"
                )
        for window in self.windows:
            if not (window[0] < window[1] and 0.0 <= window[2] <= 1.0):
                raise ShapeError(f"a window must be (start, later end, probability in [0, 1]), got {window}")
        if len(self.leaders) not in {0, len(self.windows)}:
            raise ShapeError(f"a strip needs a leader for each of {len(self.windows)} windows, got {len(self.leaders)}")

    def x(self, seconds: Seconds | float, left: float, right: float) -> NDArray[np.float64]:
        """Where moments lie between the left and the right end of the strip, in pixels."""
        start, end = self.span_seconds
        return np.asarray(left + (np.clip(seconds, start, end) - start) * ((right - left) / (end - start)))

    def ticks(self, most: int) -> NDArray[np.float64]:
        """Round moments inside the span, at most `most` + 1 of them.

        They are 1, 2 or 5 times a power of ten apart, or minutes.
        """
        start, end = self.span_seconds
        step = next((step for step in _ROUND_STEPS if step >= (end - start) / most), (end - start) / most)
        first, last = np.ceil(start / step - 1e-9), np.floor(end / step + 1e-9)
        return np.asarray(np.arange(first, last + 1) * step)

    def moment_label(self, seconds: float, *, digits: int | None = None) -> str:
        """'12.5 s', or '3:05' if the strip spans minutes; with `digits` always so many of them behind the point."""
        if self.span_seconds[1] - self.span_seconds[0] >= _MINUTES_FROM_SECONDS:
            minutes, rest = divmod(round(seconds), 60)
            return f"{minutes}:{rest:02d}"
        if digits is not None:
            return f"{seconds:.{digits}f} s"
        return f"{float(f'{seconds:.3f}') + 0.0:.10g} s"


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
