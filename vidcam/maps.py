"""Maps as volumes: upsample, blend, normalise. Numpy, the same numbers everywhere.

Upsampling is trilinear with `align_corners=False`: feature cell i of n covers [i/n, (i+1)/n) of the input's extent and
its value sits at the cell's middle; between middles the value is linear, beyond the outermost ones constant. Being
separable, it is one small matrix for each axis (`interpolation_matrix`), which can be evaluated at any position: at
the model's pixels, at the source's pixels, at a source frame's time stamp.

Normalisation is one min-max over (T, H, W) of a clip, or of a whole video (never per frame, which flickers).

Products are taken in parts too small for OpenBLAS to start threads: those go on spinning between the frames of a video,
on the cores that decode and encode. The numbers are the same to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError

Floats = NDArray[np.floating[Any]]

ROUNDING = 1e-6
"""A range below this share of its maximum is the rounding of a constant map, not evidence."""

_ALONE = 1 << 18
"""Multiplications of a matrix product up to which OpenBLAS takes one thread."""

_AT_ONCE = 1 << 15
"""Numbers of a part that stays in the processor's cache through several steps."""


def interpolation_matrix(positions: Floats, cells: int) -> NDArray[np.float64]:
    """Weights of linear interpolation on a grid of cells, one row a position.

    Args:
        positions: (P,) continuous positions in units of cells, cell i covering [i, i+1).
        cells: number n of grid cells.

    Returns:
        (P, n) float64; rows add up to 1, with at most two entries above 0.
    """
    centred = np.clip(np.asarray(positions, dtype=np.float64) - 0.5, 0.0, cells - 1.0)  # middle of cell i is at i + 1/2
    lower = np.minimum(centred.astype(np.intp), max(cells - 2, 0))
    fraction = centred - lower
    matrix = np.zeros((centred.size, cells))
    rows = np.arange(centred.size)
    matrix[rows, lower] = 1.0 - fraction
    matrix[rows, np.minimum(lower + 1, cells - 1)] += fraction
    return matrix


def resize_matrix(length: int, cells: int) -> NDArray[np.float64]:
    """Weights that resize n cells to `length` samples, (length, n): linear, `align_corners=False`."""
    return interpolation_matrix((np.arange(length) + 0.5) * (cells / length), cells)


def upsample_volume(volume: Floats, size: tuple[int, ...]) -> Floats:
    """Linear upsampling of the trailing axes, equal to `F.interpolate(mode='trilinear', align_corners=False)`.

    Args:
        volume: (..., t, h, w) or, for the 2-D case, (..., h, w): as many trailing axes as `size` has entries.
        size: (T, H, W).

    Returns:
        (..., T, H, W), float64 for float64 input, else float32.
    """
    if volume.ndim < len(size):
        raise ShapeError(f"volume must have at least {len(size)} axes to be resized to {size}, got {volume.shape = }")
    result: Floats = volume if volume.dtype == np.float64 else volume.astype(np.float32, copy=False)
    for axis, length in zip(range(-len(size), 0), size, strict=True):
        matrix = resize_matrix(length, volume.shape[axis]).astype(result.dtype)
        result = np.moveaxis(_product(np.moveaxis(result, axis, -1), matrix.T), -1, axis)
    return result


def resample_plane(plane: Floats, rows: Floats, columns: Floats) -> Floats:
    """Values of (..., h, w) maps on a grid given by `interpolation_matrix` rows and columns.

    Args:
        plane: (..., h, w).
        rows: (H, h) weights.
        columns: (W, w) weights.

    Returns:
        (..., H, W).
    """
    return _product(_product(rows, plane), columns.T)


def _product(left: Floats, right: Floats) -> Floats:
    """`left @ right` of (..., M, K) or (K,) and (..., K, L), a few rows at a time."""
    cells, length = right.shape[-2:]
    step = max(1, _ALONE // max(1, cells * length))
    if left.ndim < 2 or left.shape[-2] <= step:
        whole: Floats = np.matmul(left, right)
        return whole
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    result = np.empty((*stack, left.shape[-2], length), np.result_type(left, right))
    right = np.ascontiguousarray(right)
    for start in range(0, left.shape[-2], step):
        rows = slice(start, start + step)
        np.matmul(left[..., rows, :], right, out=result[..., rows, :])
    return result


def normalise(heat: Floats, low: float, high: float) -> Floats:
    """Min-max to [0, 1] with given bounds; values beyond them are clipped.

    A constant positive map (low = high > 0, up to the rounding of float32) becomes all ones, a map without positive
    evidence all zeros.
    """
    if high <= 0.0:
        return np.zeros_like(heat)
    if high - low <= ROUNDING * high:
        return np.ones_like(heat)
    scaled = np.ascontiguousarray(heat - low)
    parts = scaled.reshape(-1)  # in place: at 4K each new array costs as much as the arithmetic
    for start in range(0, parts.size, _AT_ONCE):
        part = parts[start : start + _AT_ONCE]
        part /= high - low
        np.clip(part, 0.0, 1.0, out=part)
    return scaled


def normalise_per_clip(heat: Floats) -> Floats:
    """Min-max of each clip of (N, ...) over all its other axes; see `normalise`."""
    return np.stack([normalise(clip, float(clip.min()), float(clip.max())) for clip in heat])


def time_weights(seconds: Floats, frame_seconds: Floats) -> NDArray[np.float64]:
    """How much each frame of a clip has to say about a moment, one row a moment.

    Between two sampled frames the weight is shared linearly; before the first and after the last it is that frame's.
    Frames with one time stamp (a short video that was held or looped) share the weight equally.

    Args:
        seconds: (S,) moments.
        frame_seconds: (T,) time stamps of the clip's frames, in any order.

    Returns:
        (S, T) float64, rows add up to 1.
    """
    unique, owner = np.unique(np.asarray(frame_seconds, dtype=np.float64), return_inverse=True)
    share = np.zeros((unique.size, owner.size))
    share[owner, np.arange(owner.size)] = 1.0
    share /= share.sum(axis=1, keepdims=True)
    position = np.interp(np.asarray(seconds, dtype=np.float64), unique, np.arange(unique.size) + 0.5)
    return interpolation_matrix(position, unique.size) @ share
