"""Which voxels of a map come first: ranks, with ties broken by one random field for all methods.

ReLU maps have many exact zeros. Sorted by index, they would keep the first frames; broken by white noise, they would
leave a film that no network has seen. The field is noise on the feature grid, upsampled as the maps are: what is hidden
or kept of tied voxels is as coarse as a map, and the same for every method (METHODS 4, GC++ 7.2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import Floats, upsample_volume

Order = NDArray[np.intp]


def tie_field(grid: tuple[int, ...], size: tuple[int, ...], generator: np.random.Generator) -> Floats:
    """Noise on a feature grid (t, h, w), upsampled to (T, H, W), float32."""
    return upsample_volume(generator.random(grid, dtype=np.float32), size)


def voxel_order(heat: Floats, ties: Floats) -> Order:
    """Indices of a map's voxels, the least important first.

    Args:
        heat: (T, H, W).
        ties: (T, H, W), decides where the heat does not; where neither does, the index.

    Returns:
        (T·H·W,) a permutation.

    Raises:
        ShapeError: the two differ in shape.
    """
    if heat.shape != ties.shape:
        raise ShapeError(f"a map and its ties must have one shape (T, H, W), got {heat.shape = }, {ties.shape = }")
    by_tie = np.argsort(ties, axis=None, kind="stable")
    return by_tie[np.argsort(heat.reshape(-1)[by_tie], kind="stable")]


def frame_order(heat: Floats, ties: Floats) -> Order:
    """Indices of a map's frames by their mean heat, the least important first, (T,); arguments as `voxel_order`."""
    return voxel_order(*(values.mean(axis=(1, 2), dtype=np.float64)[:, None, None] for values in (heat, ties)))


def keep_last(order: Order, count: int, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask of `size` that keeps the `count` most important of the ordered voxels."""
    keep = np.zeros(order.size, dtype=np.bool_)
    keep[order[order.size - count :]] = True
    return keep.reshape(size)
