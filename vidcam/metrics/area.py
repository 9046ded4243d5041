"""The mean of the map: how much is shown. A map that hides nothing has drop 0, so every table carries it."""

from __future__ import annotations

import numpy as np

from vidcam.maps import Floats


def area(heat: Floats) -> float:
    """Mean of a map (T, H, W) in [0, 1]: 1 shows everything, 0 nothing."""
    return float(heat.mean(dtype=np.float64))
