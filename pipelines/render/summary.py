"""Labels, probabilities and evidence of an explanation over time, for captions and time strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.media import Seconds
from vidcam.pipelines.render.frames import ShownMap
from vidcam.render.captions import percent
from vidcam.render.strip import TimeStrip, Window
from vidcam.results.explanation import GUIDED
from vidcam.results.video import PER_WINDOW, VideoExplanation

MOST_MOMENTS = 2000
"""Largest number of points of a curve over time; about the width of a strip in pixels."""


class VideoSummary:
    """Label and probability of one target over time.

    Args:
        explanation: the maps of the video.
        target: index of the target in the explanation.

    Attributes:
        windows: (start_seconds, end_seconds, probability of the target) of each window.
    """

    def __init__(self, explanation: VideoExplanation, target: int) -> None:
        self._video, self._target, self._line = explanation, target, explanation.timeline
        self._probability = np.clip(explanation.explanations[target].probability, 0.0, 1.0)
        columns = (self._line.starts, self._line.ends, self._probability)
        self.windows: list[Window] = list(zip(*(column.tolist() for column in columns), strict=True))

    @property
    def mean_probability(self) -> float:
        """Mean probability of the target over the windows."""
        return float(self._probability.mean())

    @property
    def contrast(self) -> str | None:
        """Label of the contrast class; None without one."""
        contrast = self._video.explanations[self._target].contrast
        return None if contrast is None else self._name(int(contrast[0]))

    def label(self, second: float) -> str:
        """Return the target's label and its contrast; for `per-window`, the top class of the nearest window."""
        label = self._video.labels[self._target]
        if label == PER_WINDOW:
            label = self._name(int(self._video.explanations[self._target].target[self._nearest(second)]))
        return label if self.contrast is None else f"{label} rather than {self.contrast}"

    def probability(self, second: float) -> float | None:
        """Return the mean probability of the windows that cover a moment; None if no window does.

        If each window has its own class, the probability is that of the nearest window, whose label is shown.
        """
        covering = self._probability[(self._line.starts <= second) & (second < self._line.ends)]
        if not covering.size:
            return None
        is_own = self._video.labels[self._target] == PER_WINDOW
        return float(self._probability[self._nearest(second)] if is_own else covering.mean())

    def caption(self, method: str, second: float) -> tuple[str, str]:
        """Return two lines: the label, then its probability at that moment and the method."""
        probability = self.probability(second)
        prefix = "" if probability is None else f"{percent(probability)} · "
        return self.label(second), f"{prefix}{method}"

    def leaders(self) -> list[str]:
        """Return the label of the highest score in each window."""
        best = self._video.explanations[self._target].logits.argmax(axis=1)
        return [self._name(int(index)) for index in best]

    def _name(self, index: int) -> str:
        return self._video.class_labels.get(index, f"class {index}")

    def _nearest(self, second: float) -> int:
        return int(np.abs((self._line.starts + self._line.ends) / 2 - second).argmin())


def name_maps(explanation: VideoExplanation, maps: Sequence[ShownMap]) -> dict[str, ShownMap]:
    """Name the maps: by method, and by target if there are several."""
    several = len({shown.target for shown in maps}) > 1
    return {f"{shown.method}, {explanation.labels[shown.target]}" if several else shown.method: shown for shown in maps}


def time_strip(
    explanation: VideoExplanation, maps: Sequence[ShownMap], pts_seconds: Seconds, span_seconds: tuple[float, float]
) -> TimeStrip:
    """Collect the evidence of the maps over time, with the windows and probabilities of the first target.

    Args:
        explanation: the maps of the video.
        maps: at least one; a guided method has the evidence of the map it multiplies.
        pts_seconds: (S,) the displayed frames.
        span_seconds: [start, end) of the strip.
    """
    step = max(1, -(-pts_seconds.size // MOST_MOMENTS))
    seconds = np.maximum(pts_seconds[::step], float(explanation.timeline.starts[0]))
    first, (start, end) = maps[0].target, span_seconds
    summary = VideoSummary(explanation, first)
    values = {
        name: (shown.method, explanation.evidence(GUIDED.get(shown.method, shown.method), seconds, target=shown.target))
        for name, shown in name_maps(explanation, maps).items()
    }
    inside = [n for n, window in enumerate(summary.windows) if window[0] < end and window[1] > start]
    leaders = summary.leaders()
    return TimeStrip(
        span_seconds=span_seconds,
        seconds=seconds,
        evidence=_relative(values),
        windows=[summary.windows[n] for n in inside],
        top_labels=[leaders[n] for n in inside],
        probability_of=explanation.labels[first] if len({shown.target for shown in maps}) > 1 else "",
    )


def _relative(values: Mapping[str, tuple[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """Divide each curve by the largest value of its method: targets can be compared, and methods have one height.

    Args:
        values: name → (method, curve).
    """
    peaks = dict.fromkeys((method for method, _ in values.values()), 0.0)
    for method, curve in values.values():
        peaks[method] = max(peaks[method], float(curve.max()))
    return {name: curve / (peaks[method] or 1.0) for name, (method, curve) in values.items()}
