"""How a video's heat changes over time, and how much two heats agree. Pure functions of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.media import Seconds


def correlation(heat: Floats, reference: Floats) -> float:
    """Return Pearson's correlation of two heats (S, H, W) over all voxels; NaN if one is constant."""
    a, b = (values.astype(np.float64).ravel() for values in (heat, reference))
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else np.nan


def changes(heat: Floats) -> NDArray[np.float64]:
    """Return the mean absolute change from each frame to the next, (S - 1,), in units of the video's mean heat."""
    steps = np.abs(np.diff(heat, axis=0)).mean(axis=(1, 2), dtype=np.float64)
    mean = heat.mean(dtype=np.float64)
    relative: NDArray[np.float64] = steps / mean if mean > 0 else steps
    return relative


def at_joins(seconds: Seconds, joins: Seconds) -> NDArray[np.bool_]:
    """Tell which steps from one frame to the next pass a join, (S - 1,) bool.

    Args:
        seconds: (S,) time stamps of the frames, increasing.
        joins: moments at which a window begins; a frame at that moment belongs to the new window.
    """
    passes = np.zeros(len(seconds) - 1, np.bool_)
    index = np.searchsorted(seconds, joins, side="left")
    passes[index[(index > 0) & (index < len(seconds))] - 1] = True
    return passes


def jump(steps: NDArray[np.float64], is_join: NDArray[np.bool_]) -> float:
    """Return the mean change at the joins over the mean change elsewhere; NaN without joins or changes."""
    if not is_join.any() or is_join.all() or not steps[~is_join].mean() > 0:
        return np.nan
    return float(steps[is_join].mean() / steps[~is_join].mean())
