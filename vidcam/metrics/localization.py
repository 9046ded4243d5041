"""Localisation: how well a map fits the region of its class, and what share of it lies inside.

    localization    Loc(δ) of the thresholded map       GC++ 4.3, eq. 26 (arXiv:1710.11063)
    pointing        share of the maximum inside         pointing game, Zhang et al. (arXiv:1608.00507)
    energy          share of the map's sum inside       no threshold, no maximum

Higher is better for all three. A region is (N, T, H, W) bool in the model's view: filled box tracks, or an actor's
mask, during the action. A map is (N, T, H, W) in [0, 1]. Areas are counted in voxels.
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
    """Return Loc(δ) of each clip: internal voxels / (voxels of the boxes + external voxels).

    Internal and external voxels are those with heat > δ inside and outside the boxes.

    Args:
        heat: (N, T, H, W) in [0, 1], min-max normalised per clip.
        inside: (N, T, H, W) bool, the boxes of the class.
        delta: δ in [0, 1).

    Returns:
        (N,) in [0, 1]; 1 if the thresholded map equals the boxes, 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or a clip has no voxel inside.
        InputError: δ outside [0, 1).
    """
    if not 0.0 <= delta < 1.0:
        raise InputError(f"delta is {delta}, expected 0 <= delta < 1; GC++ uses {', '.join(map(str, DELTAS))}")
    values, is_inside = _rows(heat, inside)
    kept = values > delta
    internal = (kept & is_inside).sum(axis=1)
    external = (kept & ~is_inside).sum(axis=1)
    shares: NDArray[np.float64] = internal / (is_inside.sum(axis=1) + external)
    return shares


def pointing(heat: Floats, inside: Region) -> NDArray[np.float64]:
    """Return the share of each map's maximal voxels that lie inside.

    If several voxels have the maximum, each counts in part, so that a plateau is neither lucky nor unlucky.

    Args:
        heat: (N, T, H, W) in [0, 1].
        inside: (N, T, H, W) bool.

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or a clip has no voxel inside.
    """
    values, is_inside = _rows(heat, inside)
    top = values.max(axis=1, keepdims=True)
    is_top = (values == top) & (top > 0.0)
    shares: NDArray[np.float64] = (is_top & is_inside).sum(axis=1) / np.maximum(is_top.sum(axis=1), 1)
    return shares


def energy(heat: Floats, inside: Region) -> NDArray[np.float64]:
    """Return the sum of each map inside, divided by its whole sum. A flat map gets the region's share of the clip.

    Args:
        heat: (N, T, H, W), >= 0.
        inside: (N, T, H, W) bool.

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or a clip has no voxel inside.
    """
    values, is_inside = _rows(heat, inside)
    total = values.sum(axis=1)
    shares: NDArray[np.float64] = (values * is_inside).sum(axis=1) / np.where(total > 0.0, total, 1.0)
    return shares


def _rows(heat: Floats, inside: Region) -> tuple[NDArray[np.float64], Region]:
    """Flatten heat (to float64) and region to one row per clip, (N, T·H·W).

    Raises:
        ShapeError: shapes differ, the region is not bool, or a clip has no voxel inside.
    """
    if heat.shape != inside.shape or heat.ndim < 2 or inside.dtype != np.bool_:
        raise ShapeError(
            f"heat and inside must both be (N, T, H, W), inside bool, got {heat.shape = }, {inside.shape = }, "
            f"{inside.dtype = }"
        )
    flat = inside.reshape(len(inside), -1)
    if not flat.any(axis=1).all():
        empty = np.flatnonzero(~flat.any(axis=1)).tolist()
        raise ShapeError(f"inside must have a voxel in every clip, got none in clips {empty}; leave them out")
    return heat.reshape(len(heat), -1).astype(np.float64), flat
