"""Compute the rows of a clip from the log probabilities of its perturbed versions; needs no model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.fill import SCORE_FILLS
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
from vidcam.pipelines.score.perturbations import ScoredMap, inner
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.samples import Failure
from vidcam.results.explanation import Artifact, Explanation, peaks_in_artifact


@dataclass(frozen=True, slots=True)
class ClipColumns:
    """The columns that are the same in all rows of a clip.

    Attributes:
        entry: the clip in the set.
        start_seconds: start of the first window.
        label: label of the explained class.
        predicted: label of the most probable class.
        is_correct: whether that is the clip's own label; None if the clip has no label that the model knows.
        is_correct_top5: whether the label is among the five most probable classes; None as above, and for a model of
            at most five classes.
        windows: number of scored windows.
        log_probability: log Y.
        warnings: sentences about the file.
        batch_size: perturbed clips per forward pass.
        content_hash: hash of the file, from `source_fingerprint`.
    """

    entry: Entry
    start_seconds: float
    label: str
    predicted: str
    is_correct: bool | None
    is_correct_top5: bool | None
    windows: int
    log_probability: float
    warnings: tuple[str, ...]
    batch_size: int
    content_hash: str = ""

    def row(self) -> Row:
        """Return them as a row."""
        return entry_row(self.entry) | {
            "start": self.start_seconds,
            "class": self.label,
            "predicted": self.predicted,
            "correct": self.is_correct,
            "correct_top5": self.is_correct_top5,
            "windows": self.windows,
            "probability": math.exp(self.log_probability),
            "log_probability": self.log_probability,
            "warnings": "; ".join(self.warnings),
            "batch_size": self.batch_size,
            "content_hash": self.content_hash,
        }


def entry_row(entry: Entry) -> Row:
    """Return the columns of a clip that come from the set."""
    return {
        "clip": entry.index,
        "path": entry.name,
        "start": entry.start_seconds,
        "group": entry.group,
        "label": entry.label,
    }


def failed_row(failure: Failure) -> Row:
    """Return the one row of a clip that cannot be scored."""
    return entry_row(failure.entry) | {"status": FAILED, "reason": failure.reason}


def map_row(
    shared: ClipColumns,
    name: str,
    logs: Mapping[Key, float],
    request: ScoreRequest,
    of_map: Row,
    *,
    frames: int,
) -> Row:
    """Compute one row: a clip with the maps of a method or a control.

    Args:
        shared: the columns that all rows of the clip share.
        name: name of the method or control.
        logs: log probability of each perturbed version.
        request: the measures.
        of_map: the columns that need only the maps.
        frames: frames of a window, T.
    """
    measures = request.measures
    curves = _Curves(shared.log_probability, name, logs, frames)
    row = shared.row() | {"method": name, "status": SCORED} | _faithfulness(shared.log_probability, name, logs)
    if {"retention", "curve"} & set(measures):
        row |= {f"retention_{theta:g}": curves.retention_at(theta) for theta in inner(request.thetas)}
    if "curve" in measures:
        row |= curves.retention_curve()
    if "fills" in measures:
        original = np.array([shared.log_probability])
        kept = {fill: retention(original, np.array([logs[name, "fill", fill]])) for fill in SCORE_FILLS}
        row |= {f"kept_{fill}": float(share[0]) for fill, share in kept.items()}
    if "insertion-deletion" in measures:
        row |= curves.insertion_deletion()
    if "time" in measures:
        row |= {f"probability_{change}": math.exp(logs[change,]) for change in CHANGES}
    if "evidence" in of_map:
        of_map = of_map | {"evidence": " ".join(f"{value:.6g}" for value in of_map["evidence"])}
    return row | of_map


def heat_row(scored: ScoredMap, request: ScoreRequest, inside: NDArray[np.bool_] | None) -> Row:
    """Compute the columns of one window's map that need no perturbed clips; `evidence` is (T,).

    Args:
        scored: the map.
        request: the measures.
        inside: (T, H, W), whether a pixel lies in a box; None without boxes.
    """
    row: Row = {"area": coverage(scored.heat), "empty": scored.is_empty}
    if {"retention", "curve"} & set(request.measures):
        assert scored.order is not None
        row |= {f"tied_{t:g}": tied_share(scored.heat, scored.order, t) for t in inner(request.thetas)}
    if scored.label_map is not None and inside is not None:
        row |= localization_row(scored.label_map, inside, time_cells=scored.time_cells)
    if "time" in request.measures:
        row["evidence"] = frame_means(scored.heat[None])[0]
    return row


def _faithfulness(log_probability: float, name: str, logs: Mapping[Key, float]) -> Row:
    original, masked = np.array([log_probability]), np.array([logs[name, "masked"]])
    return {
        "log_masked_probability": float(masked[0]),
        "masked_probability": float(np.exp(masked[0])),
        "drop": float(drop(original, masked)[0]),
        "increase": bool(increase(original, masked)[0]),
        "log_masked_post_softmax": logs.get((name, "post_softmax")),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """The measures that hide a growing share of the voxels or frames."""

    log_probability: float
    name: str
    logs: Mapping[Key, float]
    frames: int

    def _log(self, kind: str, share: float, *, shows_all: float) -> float:
        """Return the log probability at a share in [0, 1]. At `shows_all` all is shown, at the other end nothing."""
        if share in (0.0, 1.0):
            return self.log_probability if share == shows_all else self.logs["blank",]
        return self.logs[self.name, kind, f"{share:g}"]

    def retention_at(self, theta: float) -> float:
        """Compute O / Y with the lowest θ of the voxels hidden."""
        masked = np.array([self._log("keep", theta, shows_all=0.0)])
        return float(retention(np.array([self.log_probability]), masked)[0])

    def retention_curve(self) -> Row:
        """Compute the end of the retention curve, and the area under it."""
        values = np.array([self.retention_at(theta) for theta in GRID_THETAS])
        return {"retention_1": float(values[-1]), "retention_auc": float(area_under(np.array(GRID_THETAS), values))}

    def insertion_deletion(self) -> Row:
        """Compute the areas under the insertion and the deletion curves."""
        steps = frame_shares(self.frames)
        inserted = [self._log("keep", round(1.0 - share, 9), shows_all=0.0) for share in SHARES]
        curves = {
            "insertion": (SHARES, inserted),
            "deletion": (SHARES, [self._log("delete", share, shows_all=0.0) for share in SHARES]),
            "frame_insertion": (steps, [self._log("insert-frames", share, shows_all=1.0) for share in steps]),
            "frame_deletion": (steps, [self._log("delete-frames", share, shows_all=0.0) for share in steps]),
        }
        return {name: float(curve_area(shares, np.array(values))) for name, (shares, values) in curves.items()}


def localization_row(heat: Floats, inside: NDArray[np.bool_], *, time_cells: int) -> Row:
    """Compare a map (T, H, W) with the boxes.

    Temporal IoU needs frames without a box, and a map of at least three cells in time: with fewer, its peak is always
    at the window's start or end.
    """
    maps, masks = heat[None], inside[None]
    row: Row = {f"loc_{delta:g}": float(localization(maps, masks, delta)[0]) for delta in DELTAS}
    has_box = np.asarray(masks.any(axis=(2, 3)))
    row |= {"pointing": float(pointing(maps, masks)[0]), "energy": float(energy(maps, masks)[0])}
    is_timed = time_cells > 2 and not has_box.all()
    return row if not is_timed else row | {"temporal_iou": float(temporal_iou(maps, has_box)[0])}


def explanation_row(
    method: str, explanation: Explanation, post_softmax: Explanation | None, artifact: Artifact | None
) -> Row:
    """Return the columns of a method's map that need no perturbed clips; none for a control.

    Args:
        method: name of the row.
        explanation: maps of the explained class.
        post_softmax: maps of its probability's gradient; None if the measure `relative` was not chosen.
        artifact: the cells that are high on any clip; None if there are none.
    """
    if method not in explanation.volumes:
        return {}
    row = _alpha_row(explanation, method)
    if method in explanation.completeness:
        row["completeness"] = float(explanation.completeness[method][0])
    if method in explanation.noise:
        row["noise"] = float(explanation.noise[method][0])
    if post_softmax is not None and method in post_softmax.volumes:
        row["empty_post_softmax"] = not bool((post_softmax.volumes[method] > 0).any())
    if artifact is not None and method in explanation.layer_volumes:
        row["artifact"] = bool(peaks_in_artifact(explanation.volumes[method], artifact)[0])
    return row


def _alpha_row(explanation: Explanation, method: str) -> Row:
    """Return the distribution of α and of ΣA·g (EQ 3.3–3.4); empty for a method without α."""
    audit = explanation.alpha.get(method)
    if audit is None:
        return {}
    names = [f"alpha_{name}" for name in ("min", "q1", "median", "q3", "max")]
    numbers = dict(zip(names, audit.positive[0].tolist(), strict=True)) | {
        "alpha_all_min": float(audit.nonzero[0, 0]),
        "alpha_all_max": float(audit.nonzero[0, 4]),
        "product_q1": float(audit.product[0, 1]),
        "product_q3": float(audit.product[0, 3]),
        "correlation_with_gradcam_plus": float(audit.agreement[0]),
    }
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
