"""What the measures of localisation are told to be true: where in a clip, frame by frame, as booleans.

A region is (N, T, H, W) bool in the model's view: the boxes of a tube filled in, or an actor's mask, in the frames of
the action and nowhere else. A heat is (N, T, H, W) in [0, 1]. Both are looked at clip by clip as (N, T·H·W).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import Floats

Region = NDArray[np.bool_]


def rows(heat: Floats, inside: Region) -> tuple[NDArray[np.float64], Region]:
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
