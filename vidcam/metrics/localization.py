"""Localisation: how well a map fits the region of its class, and what share of it lies inside.

    localization    Loc(δ) of the thresholded map       GC++ 4.3, eq. 26 (arXiv:1710.11063)
    pointing        is the maximum inside?              Zhang et al., the pointing game (arXiv:1608.00507)
    energy          share of the map's sum inside       no threshold, no maximum

Higher is better for all three. A region is (N, T, H, W) bool in the model's view: box tracks filled in, or an actor's
mask, in the frames of the action and nowhere else. A map is (N, T, H, W) in [0, 1]. Areas are counted in voxels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats

Region = NDArray[np.bool_]

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
    flat, marked = _rows(heat, inside)
    kept = flat > delta
    internal = (kept & marked).sum(axis=1)
    external = (kept & ~marked).sum(axis=1)
    shares: NDArray[np.float64] = internal / (marked.sum(axis=1) + external)
    return shares


def pointing(heat: Floats, inside: Region) -> NDArray[np.float64]:
    """Share of each map's maximal voxels that lie inside.

    Voxels that share the maximum share the point, so that a map with a plateau is neither lucky nor unlucky.

    Args:
        heat: (N, T, H, W) in [0, 1].
        inside: (N, T, H, W) bool.

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere, which points nowhere.

    Raises:
        ShapeError: shapes differ, or nothing is inside in some clip.
    """
    flat, marked = _rows(heat, inside)
    top = flat.max(axis=1, keepdims=True)
    is_top = (flat == top) & (top > 0.0)
    points: NDArray[np.float64] = (is_top & marked).sum(axis=1) / np.maximum(is_top.sum(axis=1), 1)
    return points


def energy(heat: Floats, inside: Region) -> NDArray[np.float64]:
    """Sum of each map inside over its sum everywhere; of a flat map the share of the clip that the region takes up.

    Args:
        heat: (N, T, H, W), >= 0.
        inside: (N, T, H, W) bool.

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or nothing is inside in some clip.
    """
    flat, marked = _rows(heat, inside)
    total = flat.sum(axis=1)
    shares: NDArray[np.float64] = (flat * marked).sum(axis=1) / np.where(total > 0.0, total, 1.0)
    return shares


def _rows(heat: Floats, inside: Region) -> tuple[NDArray[np.float64], Region]:
    """Heat and region as one row a clip, (N, T·H·W); the heat in float64.

    Raises:
        ShapeError: shapes differ, the region is not bool, or it is empty in some clip.
    """
    if heat.shape != inside.shape or heat.ndim < 2 or inside.dtype != np.bool_:
        raise ShapeError(
            f"heat and inside must be of one shape (N, T, H, W), inside bool, got {heat.shape = }, {inside.shape = }, "
            f"{inside.dtype = }"
        )
    flat = inside.reshape(len(inside), -1)
    if not flat.any(axis=1).all():
        missing = np.flatnonzero(~flat.any(axis=1)).tolist()
        raise ShapeError(
            f"inside marks nothing in the clips {missing}, expected at least one voxel in each; leave those clips out"
        )
    return heat.reshape(len(heat), -1).astype(np.float64), flat
