"""The two passes with maps: of the clips for the runner-up class, and of the mirrored clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from vidcam.cam.weights import to_numpy
from vidcam.maps import Floats
from vidcam.metrics.agreement import mean_correlation
from vidcam.results.explanation import Explanation

Volumes = Mapping[str, Floats]
"""Method → raw maps, (N, t, h, w)."""

CHEAP = frozenset([*PAIR_METHODS, *BASELINE_METHODS, "cam", "token-lrp", "attnlrp"])
"""Methods whose maps come with any pass. A dearer map is not made again for the mirrored clip and another class."""


@dataclass(frozen=True, slots=True, eq=False)
class MapPass:
    """One forward pass with maps: the axes of the clips and the explanation."""

    axes: Axes
    explanation: Explanation


def map_pass(subject: Subject, request: MapRequest, target_of: Callable[[Floats], NDArray[np.int64]]) -> MapPass:
    """Explain the clips of a subject for the classes (N,) that follow from their logits (N, K)."""
    with Undo() as undo, undo:
        run = open_attribution(subject.network, subject.clip, request, undo, subject.arguments)
        return MapPass(run.axes, run.explain(target_of(to_numpy(run.logits)).tolist()))


def runner_up(logits: Floats, target: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class with the highest logit besides the target, (N,); the target itself if there is one class."""
    others = logits.astype(np.float64)
    np.put_along_axis(others, target[:, None], -np.inf, axis=1)
    return np.asarray(others.argmax(axis=1), np.int64)


def mirrored(clip: Input, axes: Axes) -> Input:
    """Exchange left and right, or the ends of a signal."""
    return like_input(clip, [axes.restore(axes.view(part).flip(-1)) for part in pathways(clip)])


def mirror_target(explanation: Explanation, logits: Floats) -> NDArray[np.int64]:
    """Return the class to explain in each mirrored clip, (N,).

    Where the clip's top class was explained, it is that of the mirrored clip: a motion to the left becomes one to the
    right.

    Args:
        explanation: of the N clips.
        logits: of the mirrored clips, (N, K).
    """
    if explanation.contrast is not None:
        return explanation.target
    is_top = explanation.logits.argmax(axis=1) == explanation.target
    return np.where(is_top, logits.argmax(axis=1), explanation.target)


def layer_maps(explanation: Explanation, other: Explanation) -> Floats:
    """Return maps on the layer's grid, (N, t, h, w); of another explanation if all maps are of the input."""
    return next(iter((explanation.layer_volumes or other.layer_volumes or other.volumes).values()))


def class_changes(maps: Volumes, runner_up_maps: Volumes) -> dict[str, float | None]:
    """Return method → 1 - mean correlation with the maps of the runner-up class; None where maps are constant."""
    found = _correlations(maps, runner_up_maps)
    return {name: None if value is None else 1.0 - value for name, value in found.items()}


def mirror_correlations(maps: Volumes, mirrored_maps: Volumes) -> dict[str, float | None]:
    """Return method → mean correlation with the maps of the mirrored clips, mirrored back; None as above."""
    return _correlations(maps, {name: volume[..., ::-1] for name, volume in mirrored_maps.items()})


def _correlations(maps: Volumes, others: Volumes) -> dict[str, float | None]:
    return {name: mean_correlation(maps[name], other) for name, other in others.items() if name in maps}
