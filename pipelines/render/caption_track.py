"""The text of a target's captions over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidcam.pipelines.render.summary import VideoSummary
from vidcam.render.caption_text import Row, percent
from vidcam.results.video import PER_WINDOW, VideoExplanation

Rows = tuple[Row, ...]

OWN_CLASS = "each window's top class"


class CaptionTrack:
    """The rows of text about one target, for each moment of a video.

    A fixed target has its label, its probability in the windows on display, its mean over the video, and its contrast
    class. If it is not the top class everywhere, it has its rank and the most probable other class. With several
    targets, each has its rank. The target `per-window` has the class of the nearest window, and another class whose map
    is blended in.

    Args:
        explanation: the maps of the video.
        target: index of the target in the explanation.

    Attributes:
        distinct: all different rows, in the order of time.
    """

    def __init__(self, explanation: VideoExplanation, target: int) -> None:
        line = explanation.timeline
        centres = (line.starts + line.ends) / 2
        self._edges = np.unique(np.concatenate([line.starts, line.ends, (centres[1:] + centres[:-1]) / 2]))
        summary = VideoSummary(explanation, target)  # not kept: it holds all probabilities
        moments = (self._edges[:-1] + self._edges[1:]) / 2
        windows = [summary.windows_at(float(moment)) for moment in moments]
        if explanation.labels[target] == PER_WINDOW:
            rows = [_own_rows(summary, indices) for indices in windows]
        else:
            rows = _target_rows(summary, windows, is_alone=len(explanation.labels) == 1)
        shared: dict[Rows, Rows] = {}
        self._rows = [shared.setdefault(each, each) for each in rows]
        self.distinct = tuple(shared)

    def rows(self, second: float) -> Rows:
        """Return the rows of text at a moment."""
        segment = int(np.searchsorted(self._edges, second, side="right")) - 1
        return self._rows[min(max(segment, 0), len(self._rows) - 1)]


def _target_rows(summary: VideoSummary, windows: Sequence[list[int]], *, is_alone: bool) -> list[Rows]:
    """Make the rows of a fixed target for each group of windows on display."""
    standings = [summary.standing(indices) for indices in windows]
    has_rival = any(standing.rank > 1 for standing in standings)
    has_mean = len(summary.windows) > 1 and not np.isnan(summary.mean_probability)
    mean = f" (mean {percent(summary.mean_probability)})" if has_mean else ""
    contrast = [] if summary.contrast is None else [Row(summary.contrast, before="rather than ")]
    rows = []
    for standing in standings:
        rank = f", rank {standing.rank}" if has_rival or not is_alone else ""
        title = Row(summary.target_label, after=f"{_after(standing.probability)}{rank}", detail=mean)
        before, after = "top: " if standing.rank > 1 else "next: ", _after(standing.rival_probability)
        rival = [Row(standing.rival_label, before, after)] if has_rival else []
        rows.append((title, *contrast, *rival))
    return rows


def _after(probability: float) -> str:
    """The probability behind a label; '' if the model returns values."""
    return f" {percent(probability)}".rstrip()


def _own_rows(summary: VideoSummary, windows: list[int]) -> Rows:
    """Make the rows of the target `per-window` for the windows on display, the nearest one first."""
    (label, probability), *others = [summary.own_class(index) for index in windows]
    title = Row(label, after=_after(probability))
    other = next((each for each in others if each[0] != label), None)
    if other is None:
        return title, Row(before=OWN_CLASS)
    return title, Row(other[0], "blends with ", _after(other[1]))
