"""The checks of a map from what was measured: means over N clips, which may be the windows of one video."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.pipelines.verdict.versions import Key
from vidcam.results.explanation import Activation, Artifact, artifact_share
from vidcam.results.verdict import Verdict

GUIDED = Verdict("not checked", "guided maps hardly depend on the class")
VALUES = Verdict("not checked", "the model returns values: there is no probability to keep")
ONE_CLASS = Verdict("not checked", "the model has one class: its probability is always 1")

CONTROL_CHECKS = {"random": "kept_random", "centre": "kept_centre", "frame-difference": "kept_difference"}

Logs = Mapping[Key, NDArray[np.float64]]
"""Key of a version → (N,) log probability of the explained class, log O."""

SMALLEST = 1e-6
"""Probabilities nearer than this to 0 or 1 count as this near, so that odds are finite."""

MOST_LOG = 700.0
"""A larger logarithm has no exponential in float64."""


def not_measurable(activation: Activation, classes: int) -> Verdict | None:
    """Return the verdict on the maps of a model whose probability tells nothing; None for another model."""
    if activation == "none":
        return VALUES
    return ONE_CLASS if activation == "softmax" and classes == 1 else None


def kept_checks(method: str, logs: Logs, log_original: NDArray[np.float64]) -> dict[str, float | None]:
    """Return what is kept of the probability at half area, and of the odds without a place.

    Odds tell more than the probability where the model is sure. All are geometric means over the clips, and None for
    versions that did not run.

    Args:
        method: name of the map.
        logs: log O of the versions.
        log_original: log Y of the clips, (N,).
    """
    halves = {"kept": method, **{check: control for control, check in CONTROL_CHECKS.items()}}
    places = {"peak": method, "peak_random": "random"}
    checks = {check: _mean(logs.get((name, "half")), log_original, lambda log: log) for check, name in halves.items()}
    return checks | {check: _mean(logs.get((name, "place")), log_original, _log_odds) for check, name in places.items()}


def _mean(
    logs: NDArray[np.float64] | None,
    log_original: NDArray[np.float64],
    scale: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> float | None:
    return None if logs is None else mean_share(scale(logs), scale(log_original))


def mean_share(logs: NDArray[np.float64], log_original: NDArray[np.float64]) -> float:
    """Return the geometric mean of what is kept, from logarithms (N,); never so large that it is infinite."""
    return float(np.exp(min((logs - log_original).mean(), MOST_LOG)))


def _log_odds(log_probability: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.clip(np.exp(log_probability), SMALLEST, 1.0 - SMALLEST)
    return np.asarray(np.log(share) - np.log1p(-share))


def map_checks(volume: Floats, artifact: Artifact | None = None) -> dict[str, float | None]:
    """Return the checks that need no model, `range` and `artifact_share`: means over the clips.

    Args:
        volume: (N, t, h, w), raw maps.
        artifact: artifact of the layer; None if there is none, and for a map of the input.
    """
    flat = volume.reshape(len(volume), -1)
    low, high = (values.astype(np.float64) for values in (flat.min(axis=1), flat.max(axis=1)))
    ranges = np.divide(high - low, high, out=np.zeros(len(flat)), where=high > 0.0)
    share = None if artifact is None else artifact_share(volume, artifact)
    return {"range": float(ranges.mean()), "artifact_share": share}
