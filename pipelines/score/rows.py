"""From the log probabilities of the perturbed clips to the numbers of its rows: no model, no tensors, no files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.metrics.faithfulness import coverage, drop, increase
from vidcam.metrics.insertion_deletion import SHARES, curve_area, frame_shares
from vidcam.metrics.localization import DELTAS, energy, localization, pointing
from vidcam.metrics.retention import GRID_THETAS, area_under, retention, tied_share
from vidcam.metrics.temporal_iou import frame_means, temporal_iou
from vidcam.metrics.time_audit import CHANGES
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.columns import FAILED, SCORED, Row
from vidcam.pipelines.score.forwards import Key
from vidcam.pipelines.score.perturbations import ScoredMap
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.samples import Failure
from vidcam.results.explanation import Artifact, Explanation, peaks_in_artifact


@dataclass(frozen=True, slots=True)
class Facts:
    """What is the same in all rows of a clip.

    Attributes:
        entry: of the set.
        start_seconds: of the window.
        label: of the explained class.
        is_correct: whether that is the entry's label; None where the model does not know it.
        log_probability: log Y.
        warnings: about the file.
        batch_size: masked clips at once.
        content: mark of the file.
    """

    entry: Entry
    start_seconds: float
    label: str
    is_correct: bool | None
    log_probability: float
    warnings: tuple[str, ...]
    batch_size: int
    content: str = ""

    def row(self) -> Row:
        """As columns."""
        return entry_row(self.entry) | {
            "start": self.start_seconds,
            "class": self.label,
            "correct": self.is_correct,
            "probability": math.exp(self.log_probability),
            "log_probability": self.log_probability,
            "warnings": "; ".join(self.warnings),
            "batch_size": self.batch_size,
            "content": self.content,
        }


def entry_row(entry: Entry) -> Row:
    """What the set says about a clip, as columns."""
    return {
        "clip": entry.index,
        "path": entry.name,
        "start": entry.start_seconds,
        "group": entry.group,
        "label": entry.label,
    }


def failed_row(failure: Failure) -> Row:
    """The one row of a clip that cannot be scored."""
    return entry_row(failure.entry) | {"status": FAILED, "reason": failure.reason}


def map_row(
    facts: Facts,
    scored: ScoredMap,
    logs: Mapping[Key, float],
    request: ScoreRequest,
    inside: NDArray[np.bool_] | None,
) -> Row:
    """One row: a clip, and a method's or a control's map; `inside` is where its boxes are, (T, H, W)."""
    measures = request.measures
    curves = _Curves(facts, scored, logs)
    row = facts.row() | {"method": scored.name, "status": SCORED} | _faithfulness(facts, scored, logs)
    if {"retention", "curve"} & set(measures):
        row |= curves.retention(request.thetas)
    if "curve" in measures:
        row |= curves.whole_curve()
    if "insertion-deletion" in measures:
        row |= curves.insertion_deletion()
    if scored.label_map is not None and inside is not None:
        row |= localization_row(scored.label_map, inside)
    if "time" in measures:
        row |= {f"probability_{change}": math.exp(logs[change,]) for change in CHANGES}
        row["evidence"] = " ".join(f"{value:.6g}" for value in frame_means(scored.heat[None])[0])
    return row


def _faithfulness(facts: Facts, scored: ScoredMap, logs: Mapping[Key, float]) -> Row:
    original, masked = np.array([facts.log_probability]), np.array([logs[scored.name, "masked"]])
    return {
        "area": coverage(scored.heat),
        "empty": scored.is_empty,
        "log_masked": float(masked[0]),
        "masked_probability": float(np.exp(masked[0])),
        "drop": float(drop(original, masked)[0]),
        "increase": bool(increase(original, masked)[0]),
        "log_masked_post": logs.get((scored.name, "post")),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """Everything that follows from a map's ranks."""

    facts: Facts
    scored: ScoredMap
    logs: Mapping[Key, float]

    def _log(self, kind: str, share: float, *, shows_all: float) -> float:
        """Log probability at a share; at `shows_all` the clip itself, at the other end the fill."""
        if share in (0.0, 1.0):
            return self.facts.log_probability if share == shows_all else self.logs["blank",]
        return self.logs[self.scored.name, kind, f"{share:g}"]

    def _left(self, theta: float) -> float:
        masked = np.array([self._log("keep", theta, shows_all=0.0)])
        return float(retention(np.array([self.facts.log_probability]), masked)[0])

    def retention(self, thetas: Sequence[float]) -> Row:
        """O / Y at each θ, and how much of the map the ties decided."""
        assert self.scored.order is not None
        row: Row = {}
        for theta in (theta for theta in thetas if 0.0 < theta < 1.0):
            row[f"retention_{theta:g}"] = self._left(theta)
            row[f"tied_{theta:g}"] = tied_share(self.scored.heat, self.scored.order, theta)
        return row

    def whole_curve(self) -> Row:
        """The end of the curve, and the area under it."""
        values = np.array([self._left(theta) for theta in GRID_THETAS])
        return {"retention_1": float(values[-1]), "retention_area": float(area_under(np.array(GRID_THETAS), values))}

    def insertion_deletion(self) -> Row:
        """Areas under the probability."""
        steps = frame_shares(self.scored.heat.shape[0])
        inserted = [self._log("keep", round(1.0 - share, 9), shows_all=0.0) for share in SHARES]
        curves = {
            "insertion": (SHARES, inserted),
            "deletion": (SHARES, [self._log("delete", share, shows_all=0.0) for share in SHARES]),
            "frame_insertion": (steps, [self._log("insert-frames", share, shows_all=1.0) for share in steps]),
            "frame_deletion": (steps, [self._log("delete-frames", share, shows_all=0.0) for share in steps]),
        }
        return {name: float(curve_area(shares, np.array(values))) for name, (shares, values) in curves.items()}


def localization_row(heat: Floats, inside: NDArray[np.bool_]) -> Row:
    """How well a map (T, H, W) of the label's class fits its region; temporal IoU where the action has an interval."""
    one, where = heat[None], inside[None]
    row: Row = {f"loc_{delta:g}": float(localization(one, where, delta)[0]) for delta in DELTAS}
    acting = np.asarray(where.any(axis=(2, 3)))
    row |= {"pointing": float(pointing(one, where)[0]), "energy": float(energy(one, where)[0])}
    return row if acting.all() else row | {"temporal_iou": float(temporal_iou(one, acting)[0])}


def explanation_row(method: str, explanation: Explanation, post: Explanation | None, artifact: Artifact | None) -> Row:
    """What the original forward pass says about a method's map; nothing about a control's.

    Args:
        method: name of the row.
        explanation: of the predicted class.
        post: of its probability's gradient; None where it was not asked for.
        artifact: the cells that are loud on any clip; None where there are none.
    """
    if method not in explanation.volumes:
        return {}
    row = _alpha_row(explanation, method)
    if post is not None:
        row["empty_post"] = not bool((post.volumes[method] > 0).any())
    if artifact is not None:
        row["artifact"] = bool(peaks_in_artifact(explanation.volumes[method], artifact)[0])
    return row


def _alpha_row(explanation: Explanation, method: str) -> Row:
    """The distribution of α and of ΣA·g, for the method that weighs by them (EQ 3.3–3.4)."""
    audit = explanation.alpha.get(method)
    if audit is None:
        return {}
    names = [f"alpha_{name}" for name in ("min", "q1", "median", "q3", "max")]
    numbers = dict(zip(names, audit.positive[0].tolist(), strict=True)) | {
        "alpha_all_min": float(audit.nonzero[0, 0]),
        "alpha_all_max": float(audit.nonzero[0, 4]),
        "product_q1": float(audit.product[0, 1]),
        "product_q3": float(audit.product[0, 3]),
        "like_gradcam_plus": float(audit.agreement[0]),
    }
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
