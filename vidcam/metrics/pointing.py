"""The pointing game: whether a map is strongest where the answer lies (Zhang et al., arXiv:1608.00507).

Voxels that share the maximum share the point, so that a map with a plateau is neither lucky nor unlucky; higher is
better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.metrics.region import Region, rows


def pointing(heat: Floats, inside: Region) -> NDArray[np.float64]:
    """Share of each map's maximal voxels that lie inside.

    Args:
        heat: (N, T, H, W) in [0, 1].
        inside: (N, T, H, W) bool, where the answer lies.

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere, which points nowhere.

    Raises:
        ShapeError: shapes differ, or nothing is inside in some clip.
    """
    flat, marked = rows(heat, inside)
    top = flat.max(axis=1, keepdims=True)
    is_top = (flat == top) & (top > 0.0)
    points: NDArray[np.float64] = (is_top & marked).sum(axis=1) / np.maximum(is_top.sum(axis=1), 1)
    return points


def pointing_rate(points: NDArray[np.float64]) -> float:
    """100 · mean of the points, in percent."""
    return float(100.0 * points.mean())
