"""The text of a target's captions over time."""

from __future__ import annotations

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
        self._summary, self._line = VideoSummary(explanation, target), explanation.timeline
        self._is_own = explanation.labels[target] == PER_WINDOW
        centres = (self._line.starts + self._line.ends) / 2
        self._edges = np.unique(np.concatenate([self._line.starts, self._line.ends, (centres[1:] + centres[:-1]) / 2]))
        moments = (self._edges[:-1] + self._edges[1:]) / 2
        windows = [self._summary.windows_at(float(moment)) for moment in moments]
        if not self._is_own:
            standings = [self._summary.standing(indices) for indices in windows]
            self._has_rival = any(standing.rank > 1 for standing in standings)
            self._has_rank = self._has_rival or len(explanation.labels) > 1
        shared: dict[Rows, Rows] = {}
        self._rows = [shared.setdefault(rows, rows) for rows in map(self._rows_of, windows)]
        self.distinct = tuple(shared)

    def rows(self, second: float) -> Rows:
        """Return the rows of text at a moment."""
        segment = int(np.searchsorted(self._edges, second, side="right")) - 1
        return self._rows[min(max(segment, 0), len(self._rows) - 1)]

    def _rows_of(self, windows: list[int]) -> Rows:
        """Make the rows for the windows on display, the nearest one first."""
        if self._is_own:
            return self._own_rows(windows)
        summary = self._summary
        standing = summary.standing(windows)
        rank = f", rank {standing.rank}" if self._has_rank else ""
        mean = f" (mean {percent(summary.mean_probability)})" if len(self._line) > 1 else ""
        rows = [Row(summary.target_label, after=f" {percent(standing.probability)}{rank}", detail=mean)]
        if summary.contrast is not None:
            rows.append(Row(summary.contrast, before="rather than "))
        if self._has_rival:
            before, after = "top: " if standing.rank > 1 else "next: ", f" {percent(standing.rival_probability)}"
            rows.append(Row(standing.rival_label, before, after))
        return tuple(rows)

    def _own_rows(self, windows: list[int]) -> Rows:
        (label, probability), *others = [self._summary.own_class(index) for index in windows]
        title = Row(label, after=f" {percent(probability)}")
        other = next((each for each in others if each[0] != label), None)
        if other is None:
            return title, Row(before=OWN_CLASS)
        return title, Row(other[0], "blends with ", f" {percent(other[1])}")
