"""The checks of a map from what was measured: means over N clips, which may be the windows of one video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.pipelines.verdict.versions import Key
from vidcam.results.explanation import Artifact, artifact_share

CONTROL_CHECKS = {"random": "kept_random", "centre": "kept_centre", "frame-difference": "kept_difference"}

Logs = Mapping[Key, NDArray[np.float64]]
"""Key of a version → (N,) log of the share of the probability that it keeps, log O - log Y."""


def kept_checks(method: str, logs: Logs) -> dict[str, float | None]:
    """Return the shares of the probability kept, geometric means over the clips; None for versions that did not run."""
    keys = {"kept": (method, "half"), "peak": (method, "place"), "peak_random": ("random", "place")}
    keys |= {check: (control, "half") for control, check in CONTROL_CHECKS.items()}
    return {check: float(np.exp(logs[key].mean())) if key in logs else None for check, key in keys.items()}


def map_checks(volume: Floats, artifact: Artifact | None, grid: Sequence[int]) -> dict[str, float | None]:
    """Return the checks that need no model: `range`, and `artifact_share` of a map on the layer's grid.

    Args:
        volume: (N, t, h, w), raw maps.
        artifact: artifact of the layer; None if there is none.
        grid: (t, h, w) of the layer.
    """
    flat = volume.reshape(len(volume), -1).astype(np.float64)
    high = flat.max(axis=1)
    ranges = np.divide(high - flat.min(axis=1), high, out=np.zeros(len(flat)), where=high > 0.0)
    has_share = artifact is not None and volume.shape[1:] == tuple(grid)
    return {
        "range": float(ranges.mean()),
        "artifact_share": artifact_share(volume, artifact) if has_share and artifact is not None else None,
    }
