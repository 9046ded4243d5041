"""Fuse the maps of several layers on the finest grid: their mean, their maximum, or the sum of raw maps.

Activations of layers in a row differ by orders of magnitude, so each clip's map of each layer is first divided by its
own maximum for the mean and the maximum. A map without evidence stays zero and counts as zero in the mean.

Parallel branches are parts of one sum: with pooled linear heads, the score is the sum of all cells of all branches. So
their raw maps are added. A map that is brought to a finer grid keeps its sum over the cells, and with it the branch's
share of the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vidcam.errors import InputError
from vidcam.maps import Floats, relative_to_maximum, upsample_volume

Fusion = Literal["mean", "max", "sum"]
FUSIONS: tuple[Fusion, ...] = ("mean", "max", "sum")


def fuse(volumes: Sequence[Floats], fusion: Fusion) -> Floats:
    """Fuse the maps of several layers into one.

    Args:
        volumes: raw maps of each layer, (N, t, h, w); the grids may differ.
        fusion: `mean` or `max` of maps divided by their maximum, or `sum` of raw maps, cell by cell.

    Returns:
        (N, t, h, w) on the finest grid; in [0, 1] unless `sum`. The raw map itself if there is only one layer.

    Raises:
        InputError: an unknown fusion.
    """
    if fusion not in FUSIONS:
        raise InputError(f"fusion is {fusion!r}, expected one of {', '.join(FUSIONS)}")
    if len(volumes) == 1:
        return volumes[0]
    size = tuple(max(lengths) for lengths in zip(*(volume.shape[1:] for volume in volumes), strict=True))
    if fusion == "sum":
        return np.sum([_with_sum_of(volume, upsample_volume(volume, size)) for volume in volumes], axis=0)  # type: ignore[no-any-return]
    fine = np.stack([relative_to_maximum(upsample_volume(volume, size)) for volume in volumes])
    fused: Floats = fine.mean(axis=0) if fusion == "mean" else fine.max(axis=0)
    return fused


def _with_sum_of(volume: Floats, fine: Floats) -> Floats:
    """Scale a finer map of the same clips so that its cells have the volume's sum."""
    axes = tuple(range(1, volume.ndim))
    before, after = volume.sum(axis=axes, keepdims=True), fine.sum(axis=axes, keepdims=True)
    scaled: Floats = fine * (before / np.where(after > 0, after, 1))
    return scaled
