"""Energy inside: the share of a map's sum that lies where the answer does (higher is better).

No threshold and no maximum: of a flat map it is the share of the clip that the answer takes up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.metrics.region import Region, rows


def energy(heat: Floats, inside: Region) -> NDArray[np.float64]:
    """Sum of each map inside over its sum everywhere.

    Args:
        heat: (N, T, H, W), >= 0.
        inside: (N, T, H, W) bool, where the answer lies.

    Returns:
        (N,) in [0, 1]; 0 for a map that is zero everywhere.

    Raises:
        ShapeError: shapes differ, or nothing is inside in some clip.
    """
    flat, marked = rows(heat, inside)
    total = flat.sum(axis=1)
    shares: NDArray[np.float64] = (flat * marked).sum(axis=1) / np.where(total > 0.0, total, 1.0)
    return shares
