"""Loc(δ): how well a thresholded map fits the boxes of its class (GC++ 4.3, eq. 26; higher is better).

Over space and time: boxes are tubes, (T, H, W), and areas are counted in voxels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.maps import Floats
from vidcam.metrics.region import Region, rows

DELTAS = (0.0, 0.25, 0.5)
"""The thresholds of GC++ table 3."""


def localization(heat: Floats, inside: Region, delta: float) -> NDArray[np.float64]:
    """Loc(δ) of each clip: internal voxels / (voxels of the boxes + external voxels).

    Internal and external voxels are those with heat > δ inside and outside the boxes.

    Args:
        heat: (N, T, H, W) in [0, 1], min-max normalised per clip.
        inside: (N, T, H, W) bool, the boxes of the class.
        delta: δ in [0, 1).

    Returns:
        (N,) in [0, 1]; 1 where the thresholded map is the boxes exactly, 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or nothing is inside in some clip.
        InputError: δ outside [0, 1).
    """
    if not 0.0 <= delta < 1.0:
        raise InputError(f"delta is {delta}, expected 0 <= delta < 1; the paper takes {', '.join(map(str, DELTAS))}")
    flat, marked = rows(heat, inside)
    kept = flat > delta
    internal = (kept & marked).sum(axis=1)
    external = (kept & ~marked).sum(axis=1)
    shares: NDArray[np.float64] = internal / (marked.sum(axis=1) + external)
    return shares
