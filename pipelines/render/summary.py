"""Labels, probabilities and evidence of an explanation over time, for captions and time strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.media import Seconds
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.moments import thinned
from vidcam.render.strip import TimeStrip, Window
from vidcam.results.explanation import GUIDED
from vidcam.results.video import VideoExplanation


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a class stands among all classes, by the mean probability over some windows.

    Attributes:
        probability: of the class; NaN if the model returns values.
        rank: 1 for the most probable class.
        rival_label: label of the most probable other class; it is the top class if the rank is above 1.
        rival_probability: its probability.
    """

    probability: float
    rank: int
    rival_label: str
    rival_probability: float


class VideoSummary:
    """Labels and probabilities of one target over time.

    Args:
        explanation: the maps of the video.
        target: index of the target in the explanation.

    Attributes:
        windows: (start_seconds, end_seconds, probability of the target) of each window.
        mean_probability: mean probability of the target over the windows; NaN if the model returns values.
    """

    def __init__(self, explanation: VideoExplanation, target: int) -> None:
        self._video, self._target, self._line = explanation, target, explanation.timeline
        self._classes = explanation.explanations[target].target
        self._ranking = explanation.explanations[target].ranking()  # (N, K)
        probabilities = np.clip(explanation.explanations[target].probabilities(), 0.0, 1.0)
        own = probabilities[np.arange(len(self._line)), self._classes]
        columns = (self._line.starts, self._line.ends, own)
        self.windows: list[Window] = list(zip(*(column.tolist() for column in columns), strict=True))
        self.mean_probability = float(own.mean())
        self._has_probability = explanation.explanations[target].activation != "none"

    @property
    def target_label(self) -> str:
        """Label of the target, without its contrast."""
        return self._video.labels[self._target]

    @property
    def contrast(self) -> str | None:
        """Label of the contrast class; None without one."""
        contrast = self._video.explanations[self._target].contrast
        return None if contrast is None else self._video.class_label(int(contrast[0]))

    def windows_at(self, second: float) -> list[int]:
        """Return the windows that cover a moment, the nearest one first; the nearest one if none covers it."""
        distance = np.abs((self._line.starts + self._line.ends) / 2 - second)
        covering = np.flatnonzero((self._line.starts <= second) & (second < self._line.ends))
        nearest = covering[np.argsort(distance[covering], kind="stable")].tolist()
        return nearest or [int(distance.argmin())]

    def own_class(self, window: int) -> tuple[str, float]:
        """Return the label and probability of the class that was explained in a window."""
        return self._video.class_label(int(self._classes[window])), self.windows[window][2]

    def standing(self, windows: Sequence[int]) -> Standing:
        """Return where the target stands in some windows; it must be a fixed class."""
        ranking = self._ranking[list(windows)].mean(axis=0)
        index = int(self._classes[0])
        own, ranking[index] = float(ranking[index]), -np.inf
        rival = int(ranking.argmax())
        shown = (own, float(ranking[rival])) if self._has_probability else (np.nan, np.nan)
        return Standing(shown[0], 1 + int((ranking > own).sum()), self._video.class_label(rival), shown[1])

    def leaders(self) -> list[str]:
        """Return the label of the highest score in each window."""
        return [self._video.class_label(int(index)) for index in self._ranking.argmax(axis=1)]


def name_maps(explanation: VideoExplanation, maps: Sequence[ShownMap]) -> dict[str, ShownMap]:
    """Name the maps: by method, and by target if there are several; of targets with the same label also by number."""
    several, names = len({shown.target for shown in maps}) > 1, dict[str, ShownMap]()
    for shown in maps:
        name = f"{shown.method}, {explanation.labels[shown.target]}" if several else shown.method
        names[f"{name} ({shown.target + 1})" if name in names else name] = shown
    return names


def time_strip(
    explanation: VideoExplanation, maps: Sequence[ShownMap], pts_seconds: Seconds, span_seconds: tuple[float, float]
) -> TimeStrip:
    """Collect the evidence of the maps over time, with the windows and probabilities of the first target.

    Args:
        explanation: the maps of the video.
        maps: at least one; a guided method has the evidence of the map it multiplies.
        pts_seconds: (S,) the displayed frames.
        span_seconds: [start, end) of the strip.

    Raises:
        ShapeError: the strip ends before it starts, as in a file whose windows are not those of the video.
    """
    first, (start, end) = maps[0].target, span_seconds
    if not start < end:
        raise ShapeError(f"the windows begin at {start:g} s, after the shown part, which ends at {end:g} s")
    seconds = np.maximum(thinned(pts_seconds), float(explanation.timeline.starts[0]))
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
