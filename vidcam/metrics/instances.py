"""Recall of instances: of several things of one class, how many a map shows (the claim of GC++ 3.1; higher is better).

The map is cut where as many voxels are kept as the instances have together, so that a map cannot find them all by
being large. An instance is found if the kept voxels cover a stated share of it. The mean coverage itself tells whether
whole things are shown or parts of them; the peak of the weakest instance tells how far it fades beside the strongest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats
from vidcam.metrics.localization import Region

LEAST_COVERAGE = 0.25


def instance_coverage(heat: Floats, instances: Region) -> NDArray[np.float64]:
    """Share of each instance that is kept when the map is cut at the instances' own volume.

    Voxels with exactly the value of the cut are kept in part, all of them to the same share; zeros are never kept.

    Args:
        heat: (T, H, W), >= 0, the map of one clip.
        instances: (M, T, H, W) bool, one region for each instance.

    Returns:
        (M,) in [0, 1].

    Raises:
        ShapeError: shapes differ, or an instance is nowhere.
    """
    sizes = _sizes(heat, instances)
    kept = kept_share(heat, int(instances.any(axis=0).sum()))
    shares: NDArray[np.float64] = (instances * kept).sum(axis=(1, 2, 3)) / sizes
    return shares


def peaks(heat: Floats, instances: Region) -> NDArray[np.float64]:
    """The map's maximum within each instance, (M,); of a map in [0, 1], 1 is the strongest evidence in the clip.

    Args:
        heat: (T, H, W), >= 0, the map of one clip.
        instances: (M, T, H, W) bool, one region for each instance.

    Raises:
        ShapeError: shapes differ, or an instance is nowhere.
    """
    _sizes(heat, instances)
    return np.array([heat[instance].max() for instance in instances], np.float64)


def _sizes(heat: Floats, instances: Region) -> NDArray[np.int64]:
    """Voxels of each instance, (M,), all above 0."""
    if heat.shape != instances.shape[1:] or instances.dtype != np.bool_ or not instances.size:
        raise ShapeError(
            f"heat must be (T, H, W), instances (M, T, H, W) bool, got {heat.shape = }, {instances.shape = }, "
            f"{instances.dtype = }"
        )
    sizes = np.asarray(instances.sum(axis=(1, 2, 3)))
    if not sizes.all():
        raise ShapeError(f"every instance needs a voxel, got instances of {sizes.tolist()} voxels; leave the clip out")
    return sizes


def kept_share(heat: Floats, voxels: int) -> NDArray[np.float64]:
    """Of the shape of the heat: 1 for the highest voxels, 0 for the others, ties at the cut shared out evenly.

    The sum is `voxels`, or less where fewer are above 0.
    """
    values = heat.astype(np.float64, copy=False)
    cut = float(np.partition(values, -voxels, axis=None)[-voxels])
    above: NDArray[np.float64] = (values > cut).astype(np.float64)
    if cut > 0.0:
        at_cut = values == cut
        above[at_cut] = (voxels - above.sum()) / at_cut.sum()
    return above


def recall(coverages: NDArray[np.float64], *, least: float = LEAST_COVERAGE) -> float:
    """Share of a clip's instances that are covered by at least `least`, in [0, 1].

    Args:
        coverages: (M,) from `instance_coverage`.
        least: in (0, 1].

    Raises:
        InputError: `least` outside (0, 1].
    """
    if not 0.0 < least <= 1.0:
        raise InputError(f"least is {least}, expected 0 < least <= 1; {LEAST_COVERAGE} is a quarter of the instance")
    return float((coverages >= least).mean())
