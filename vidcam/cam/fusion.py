"""Fuse the maps of several layers: bring them to the finest grid, divide by the maximum, take the mean or maximum.

Activations of layers differ by orders of magnitude, so raw maps cannot be added. Each clip's map of each layer is first
divided by its own maximum. A map without evidence stays zero and counts as zero in the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vidcam.errors import InputError
from vidcam.maps import Floats, upsample_volume

Fusion = Literal["mean", "max"]
FUSIONS: tuple[Fusion, ...] = ("mean", "max")


def fuse(volumes: Sequence[Floats], fusion: Fusion) -> Floats:
    """Fuse the maps of several layers into one.

    Args:
        volumes: raw maps of each layer, (N, t, h, w); the grids may differ.
        fusion: `mean` or `max`, cell by cell.

    Returns:
        (N, t, h, w) on the finest grid, in [0, 1]. The raw map itself if there is only one layer.

    Raises:
        InputError: an unknown fusion.
    """
    if fusion not in FUSIONS:
        raise InputError(f"fusion is {fusion!r}, expected one of {', '.join(FUSIONS)}")
    if len(volumes) == 1:
        return volumes[0]
    size = tuple(max(lengths) for lengths in zip(*(volume.shape[1:] for volume in volumes), strict=True))
    fine = np.stack([_divided_by_maximum(upsample_volume(volume, size)) for volume in volumes])
    fused: Floats = fine.mean(axis=0) if fusion == "mean" else fine.max(axis=0)
    return fused


def _divided_by_maximum(volume: Floats) -> Floats:
    highest = volume.max(axis=tuple(range(1, volume.ndim)), keepdims=True)
    scaled: Floats = volume / np.where(highest > 0, highest, 1)
    return scaled
