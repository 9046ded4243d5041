"""Evidence and probability over time, for the JSON and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.media import Seconds
from vidcam.pipelines.render.moments import thinned
from vidcam.results.explanation import GUIDED
from vidcam.results.video import VideoExplanation
from vidcam.system.filenames import csv_text

MOST_ROWS, MOST_IN_JSON = 2000, 200
"""Largest number of moments in the CSV and in the JSON; of longer videos evenly spaced frames are taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Evidence and probability of a video over time.

    Attributes:
        seconds: (S,) time stamps of displayed frames.
        evidence: one for each target: method → (S,) mean heat over the model's view, in [0, 1].
        probability: one for each target: (S,) mean over the windows that cover the moment; NaN if none does.
    """

    seconds: Seconds
    evidence: tuple[Mapping[str, NDArray[np.float64]], ...]
    probability: tuple[NDArray[np.float64], ...]

    def best_second(self, target: int, method: str) -> float | None:
        """Return the moment with the most evidence; None if there is no evidence."""
        evidence = self.evidence[target][method]
        best = int(evidence.argmax())
        return float(self.seconds[best]) if evidence[best] > 0 else None

    def thinned(self) -> Curves:
        """Return at most MOST_IN_JSON of the moments, evenly spaced."""
        step = slice(None, None, -(-self.seconds.size // MOST_IN_JSON))
        return Curves(
            self.seconds[step],
            tuple({name: curve[step] for name, curve in curves.items()} for curves in self.evidence),
            tuple(curve[step] for curve in self.probability),
        )

    def to_csv(self, labels: Sequence[str]) -> str:
        """Write one row a moment: seconds, then probability and evidence of each target, named by its label."""
        columns = {"seconds": [f"{second:.6f}" for second in self.seconds]}
        for number, label in enumerate(labels):
            prefix = f"{label}: " if len(labels) > 1 else ""
            probability = self.probability[number]
            has_probability = not np.isnan(probability).all()  # a model may return values
            curves = {**({"probability": probability} if has_probability else {}), **self.evidence[number]}
            columns |= {prefix + name: [f"{value:.6g}" for value in curve] for name, curve in curves.items()}
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(csv_text, columns))
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()


def curves_of(explanation: VideoExplanation, methods: Sequence[str], pts_seconds: Seconds) -> Curves:
    """Measure the curves of all targets.

    Args:
        explanation: the maps.
        methods: a guided method has the evidence of the map that it multiplies.
        pts_seconds: (S,) time stamps of the displayed frames.
    """
    seconds = thinned(pts_seconds, MOST_ROWS)
    targets = range(len(explanation.labels))
    line = explanation.timeline
    covers = (line.starts <= seconds[:, None]) & (seconds[:, None] < line.ends)  # (S, N)
    windows = np.where(covers.any(axis=1), covers.sum(axis=1), np.nan)
    return Curves(
        seconds,
        tuple(
            {name: explanation.evidence(GUIDED.get(name, name), seconds, target=target) for name in methods}
            for target in targets
        ),
        tuple((covers @ each.probability) / windows for each in explanation.explanations),
    )
