"""Recall of instances: how many instances of a class in one clip does a map find? Higher is better (GC++ 3.1).

The map is cut so that it keeps as many voxels as the instances have together: a large map gains nothing. An instance is
found if the kept voxels cover a given share of it. The mean coverage tells whether maps show whole objects or parts.
The peak of the weakest instance tells how much weaker it is than the strongest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats
from vidcam.metrics.localization import Region

MIN_COVERAGE = 0.25


def instance_coverage(heat: Floats, instances: Region) -> NDArray[np.float64]:
    """Return the share of each instance that the map keeps, cut at the volume of all instances.

    Voxels equal to the cut value are kept in part, all with the same share; zeros are never kept.

    Args:
        heat: (T, H, W), >= 0, the map of one clip.
        instances: (M, T, H, W) bool, one region for each instance.

    Returns:
        (M,) in [0, 1].

    Raises:
        ShapeError: shapes differ, or an instance has no voxel.
    """
    sizes = _sizes(heat, instances)
    kept = kept_share(heat, int(instances.any(axis=0).sum()))
    shares: NDArray[np.float64] = (instances * kept).sum(axis=(1, 2, 3)) / sizes
    return shares


def peaks(heat: Floats, instances: Region) -> NDArray[np.float64]:
    """Return the map's maximum within each instance, (M,); 1 is the strongest evidence in a clip with heat in [0, 1].

    Args:
        heat: (T, H, W), >= 0, the map of one clip.
        instances: (M, T, H, W) bool, one region for each instance.

    Raises:
        ShapeError: shapes differ, or an instance has no voxel.
    """
    _sizes(heat, instances)
    return np.array([heat[instance].max() for instance in instances], np.float64)


def _sizes(heat: Floats, instances: Region) -> NDArray[np.int64]:
    """Count the voxels of each instance, (M,), all above 0."""
    if heat.shape != instances.shape[1:] or instances.dtype != np.bool_ or not instances.size:
        raise ShapeError(
            f"heat must be (T, H, W) and instances (M, T, H, W) bool, got {heat.shape = }, {instances.shape = }, "
            f"{instances.dtype = }"
        )
    sizes = np.asarray(instances.sum(axis=(1, 2, 3)))
    if not sizes.all():
        raise ShapeError(f"every instance must have a voxel, got {sizes.tolist()} voxels; leave out the clip")
    return sizes


def kept_share(heat: Floats, voxels: int) -> NDArray[np.float64]:
    """Return 1 for the highest voxels and 0 for the others, of the heat's shape; ties at the cut share the rest evenly.

    The sum is `voxels`, or less if fewer voxels are above 0.
    """
    values = heat.astype(np.float64, copy=False)
    cut = float(np.partition(values, -voxels, axis=None)[-voxels])
    kept: NDArray[np.float64] = (values > cut).astype(np.float64)
    if cut > 0.0:
        at_cut = values == cut
        kept[at_cut] = (voxels - kept.sum()) / at_cut.sum()
    return kept


def recall(coverages: NDArray[np.float64], *, min_coverage: float = MIN_COVERAGE) -> float:
    """Return the share of a clip's instances with at least the given coverage, in [0, 1].

    Args:
        coverages: (M,) from `instance_coverage`.
        min_coverage: in (0, 1].

    Raises:
        InputError: `min_coverage` outside (0, 1].
    """
    if not 0.0 < min_coverage <= 1.0:
        raise InputError(f"min_coverage is {min_coverage}, expected 0 < min_coverage <= 1")
    return float((coverages >= min_coverage).mean())
