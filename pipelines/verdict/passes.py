"""The two passes with maps: of the clips for the runner-up class, and of the mirrored clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.axes import Axes
from vidcam.cam.attribution import open_attribution
from vidcam.cam.methods import BASELINE_METHODS, PAIR_METHODS
from vidcam.cam.network import Input, like_input, pathways
from vidcam.cam.preserve import Undo
from vidcam.cam.request import MapRequest
from vidcam.cam.subject import Subject
from vidcam.metrics.agreement import mean_correlation
from vidcam.results.explanation import RELEVANCE, Explanation

CHEAP = frozenset([*PAIR_METHODS, *BASELINE_METHODS, "cam", *RELEVANCE])
"""Methods whose maps come with any pass. A dearer map is not made again for the mirrored clip and another class."""


@dataclass(frozen=True, slots=True, eq=False)
class MapPass:
    """One forward pass with maps: the axes of the clips and the explanation."""

    axes: Axes
    explanation: Explanation


def map_pass(subject: Subject, request: MapRequest, target: NDArray[np.int64] | None) -> MapPass:
    """Explain the clips of a subject; without a target, for the predicted class."""
    with Undo() as undo, undo:
        run = open_attribution(subject.network, subject.clip, request, undo, subject.arguments)
        return MapPass(run.axes, run.explain(None if target is None else target.tolist()))


def runner_up(explanation: Explanation) -> NDArray[np.int64]:
    """Return the class with the highest logit besides the target, (N,); the target itself if there is one class."""
    logits = explanation.logits.astype(np.float64)
    if logits.shape[1] == 1:
        return explanation.target
    np.put_along_axis(logits, explanation.target[:, None], -np.inf, axis=1)
    return np.asarray(logits.argmax(axis=1), np.int64)


def mirrored(clip: Input, axes: Axes) -> Input:
    """Exchange left and right, or the ends of a signal."""
    return like_input(clip, [axes.restore(axes.view(part).flip(-1)) for part in pathways(clip)])


def mirror_target(explanation: Explanation) -> NDArray[np.int64] | None:
    """Return the class to explain in the mirrored clips; None: the predicted one, if the explanation is of that.

    A mirrored motion to the left is one to the right.
    """
    is_top = bool((explanation.logits.argmax(axis=1) == explanation.target).all())
    return None if is_top and explanation.contrast is None else explanation.target


def class_changes(explanation: Explanation, other: Explanation) -> Mapping[str, float | None]:
    """Return method → 1 - mean correlation of its maps with those of the runner-up class."""
    found = _correlations(explanation, other, is_mirrored=False)
    return {name: None if value is None else 1.0 - value for name, value in found.items()}


def mirror_correlations(explanation: Explanation, other: Explanation) -> Mapping[str, float | None]:
    """Return method → mean correlation of its maps with those of the mirrored clips, mirrored back."""
    return _correlations(explanation, other, is_mirrored=True)


def _correlations(explanation: Explanation, other: Explanation, *, is_mirrored: bool) -> dict[str, float | None]:
    return {
        name: mean_correlation(explanation.volumes[name], volume[..., ::-1] if is_mirrored else volume)
        for name, volume in other.volumes.items()
        if name in explanation.volumes
    }
