"""Several layers in one map: each brought to the finest grid and to its own maximum, then their mean or maximum.

Layers differ in the size of their activations by orders of magnitude, so that raw maps cannot be added. Each clip's map
of each layer is divided by its maximum first; a map without evidence stays zero and counts as such in the mean.
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
    """One map of several layers'.

    Args:
        volumes: raw maps of each layer, (N, t, h, w), the grids may differ.
        fusion: `mean` or `max`, place by place.

    Returns:
        (N, t, h, w) on the finest grid, in [0, 1]; of one layer the raw map itself.

    Raises:
        InputError: another fusion.
    """
    if fusion not in FUSIONS:
        raise InputError(f"fusion is {fusion!r}, expected one of {', '.join(FUSIONS)}")
    if len(volumes) == 1:
        return volumes[0]
    size = tuple(max(lengths) for lengths in zip(*(volume.shape[1:] for volume in volumes), strict=True))
    fine = np.stack([_to_maximum(upsample_volume(volume, size)) for volume in volumes])
    fused: Floats = fine.mean(axis=0) if fusion == "mean" else fine.max(axis=0)
    return fused


def _to_maximum(volume: Floats) -> Floats:
    highest = volume.max(axis=tuple(range(1, volume.ndim)), keepdims=True)
    scaled: Floats = volume / np.where(highest > 0, highest, 1)
    return scaled
