"""Maps as volumes: upsample, blend, normalise. Numpy only, the same numbers on every machine.

Upsampling is trilinear with `align_corners=False`. Feature cell i of n covers [i/n, (i+1)/n) of the input's extent, and
its value sits at the cell's centre. Values are linear between centres and constant beyond the outermost ones. The
interpolation is separable: one small matrix per axis (`interpolation_matrix`). It can be evaluated at any position: the
model's pixels, the source's pixels, a source frame's time stamp.

Normalisation is one min-max over (T, H, W) of a clip, or of a whole video. (Per frame, it would flicker.)

Matrix products are computed in parts that are too small for OpenBLAS to start threads. Its threads would keep spinning
between the frames of a video, on the cores that decode and encode. The numbers are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError

Floats = NDArray[np.floating[Any]]

ROUNDING = 1e-6
"""If the range of a map is below this share of its maximum, the map is constant up to rounding."""

_SINGLE_THREAD_PRODUCTS = 1 << 18
"""Largest number of multiplications in a matrix product for which OpenBLAS uses one thread."""


def interpolation_matrix(positions: Floats, cells: int) -> NDArray[np.float64]:
    """Return the weights of linear interpolation on a grid of cells, one row per position.

    Args:
        positions: (P,) continuous positions in units of cells, cell i covering [i, i+1).
        cells: n, number of grid cells.

    Returns:
        (P, n) float64; each row sums to 1, with at most two entries above 0.
    """
    centred = np.clip(np.asarray(positions, dtype=np.float64) - 0.5, 0.0, cells - 1.0)  # cell i's centre is i + 1/2
    lower = np.minimum(centred.astype(np.intp), max(cells - 2, 0))
    fraction = centred - lower
    matrix = np.zeros((centred.size, cells))
    rows = np.arange(centred.size)
    matrix[rows, lower] = 1.0 - fraction
    matrix[rows, np.minimum(lower + 1, cells - 1)] += fraction
    return matrix


@lru_cache(maxsize=32)
def resize_matrix(length: int, cells: int) -> NDArray[np.float64]:
    """Return the weights that resize n cells to `length` samples, (length, n): linear, `align_corners=False`.

    They are cached, because all clips and all frames of a video have the same sizes. Do not write to them.
    """
    return interpolation_matrix((np.arange(length) + 0.5) * (cells / length), cells)


def upsample_volume(volume: Floats, size: tuple[int, ...]) -> Floats:
    """Upsample the trailing axes linearly; equal to `F.interpolate(mode='trilinear', align_corners=False)`.

    Args:
        volume: (..., t, h, w), or (..., h, w) in 2-D: as many trailing axes as `size` has entries.
        size: (T, H, W).

    Returns:
        (..., T, H, W), float64 for float64 input, else float32.
    """
    if volume.ndim < len(size):
        raise ShapeError(f"volume must have at least {len(size)} axes for the size {size}, got {volume.shape = }")
    cells = volume.shape[volume.ndim - len(size) :]
    return resample_volume(volume, [resize_matrix(length, n) for length, n in zip(size, cells, strict=True)])


def resample_volume(volume: Floats, matrices: Sequence[Floats]) -> Floats:
    """Evaluate the trailing axes on the grid of one `interpolation_matrix` for each.

    Args:
        volume: (..., t, h, w): as many trailing axes as there are matrices.
        matrices: (T, t), (H, h) and (W, w) weights.

    Returns:
        (..., T, H, W), float64 for float64 input, else float32.
    """
    result: Floats = volume if volume.dtype == np.float64 else volume.astype(np.float32, copy=False)
    for axis, matrix in zip(range(-len(matrices), 0), matrices, strict=True):
        product = _product(np.moveaxis(result, axis, -1), matrix.astype(result.dtype).T)
        result = np.moveaxis(product, -1, axis)
    return result


def pool_volume(volume: Floats, grid: tuple[int, ...]) -> Floats:
    """Add up the trailing axes in the cells of a grid. The sum is kept: a value on a border is shared by its cells.

    Args:
        volume: (..., T, H, W): as many trailing axes as `grid` has entries.
        grid: (t, h, w), coarser or finer.

    Returns:
        (..., t, h, w), float64 for float64 input, else float32.
    """
    result: Floats = volume.astype(np.float64)
    for axis, cells in zip(range(-len(grid), 0), grid, strict=True):
        length = volume.shape[axis]
        if length != cells:
            shares = _area_shares(length, cells)
            result = np.moveaxis(_product(np.moveaxis(result, axis, -1), shares), -1, axis)
    return result if volume.dtype == np.float64 else result.astype(np.float32)


def _area_shares(length: int, cells: int) -> NDArray[np.float64]:
    """Return the share of each of `length` samples that lies in each cell, (length, n); each row sums to 1."""
    edges, samples = np.arange(cells + 1) * (length / cells), np.arange(length)[:, None]
    shares: NDArray[np.float64] = np.minimum(edges[1:], samples + 1) - np.maximum(edges[:-1], samples)
    return shares.clip(min=0.0)


def resample_plane(plane: Floats, rows: Floats, columns: Floats) -> Floats:
    """Evaluate (..., h, w) maps on the grid of `interpolation_matrix` rows and columns.

    Args:
        plane: (..., h, w).
        rows: (H, h) weights.
        columns: (W, w) weights.

    Returns:
        (..., H, W).
    """
    return _product(_product(rows, plane), columns.T)


def resample_smooth(plane: Floats, y: Floats, x: Floats) -> Floats:
    """Evaluate an (h, w) map by cubic interpolation, for smooth contour lines.

    Along each axis it is a cubic Hermite curve through the centres of the cells. The slope at a centre is the harmonic
    mean of the slopes to both sides, and 0 at an extremum. So the values at the centres are exact, the curve is
    monotone between them, and the largest value stays at its cell. It differs from the linear map by at most 0.17 of
    the range of the cells around.

    Args:
        plane: (h, w).
        y: (H,) positions in units of cells, as in `interpolation_matrix`.
        x: (W,) positions.

    Returns:
        (H, W).
    """
    return _smooth(_smooth(plane.T, x).T, y)


def _smooth(values: Floats, positions: Floats) -> Floats:
    """Interpolate (n, L) along its first axis, (P, L)."""
    cells, steps = len(values), np.diff(values, axis=0)
    slopes = np.zeros_like(values)
    product = steps[:-1] * steps[1:]
    np.divide(2 * product, steps[:-1] + steps[1:], out=slopes[1:-1], where=product > 0)
    centred = np.clip(np.asarray(positions, dtype=np.float64) - 0.5, 0.0, cells - 1.0)
    lower = np.minimum(centred.astype(np.intp), max(cells - 2, 0))
    upper, t, rows = np.minimum(lower + 1, cells - 1), centred - lower, np.arange(centred.size)
    of_values, of_slopes = np.zeros((2, t.size, cells), values.dtype)
    rise = t * t * (3 - 2 * t)
    of_values[rows, lower] = 1 - rise
    of_values[rows, upper] += rise
    of_slopes[rows, lower] = t * (1 - t) ** 2
    of_slopes[rows, upper] += t * t * (t - 1)
    return _product(of_values, values) + _product(of_slopes, slopes)


def resample_nearest(plane: Floats, y: Floats, x: Floats) -> Floats:
    """Return the value of the cell at each position; arguments as in `resample_smooth`."""
    rows, columns = (
        np.clip(np.floor(positions), 0, cells - 1).astype(np.intp)
        for positions, cells in zip((y, x), plane.shape, strict=True)
    )
    return plane.take(rows, axis=0).take(columns, axis=1)


def _product(left: Floats, right: Floats) -> Floats:
    """Compute `left @ right` of (..., M, K) or (K,) and (..., K, L), a few rows at a time."""
    cells, length = right.shape[-2:]
    step = max(1, _SINGLE_THREAD_PRODUCTS // max(1, cells * length))
    if left.ndim < 2 or left.shape[-2] <= step:
        product: Floats = np.matmul(left, right)
        return product
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    result = np.empty((*stack, left.shape[-2], length), np.result_type(left, right))
    right = np.ascontiguousarray(right)
    for start in range(0, left.shape[-2], step):
        rows = slice(start, start + step)
        np.matmul(left[..., rows, :], right, out=result[..., rows, :])
    return result


def normalise(heat: Floats, low: float, high: float) -> Floats:
    """Scale a map to [0, 1] by min-max with given bounds; values beyond them are clipped; see `to_unit`."""
    scaled = to_unit(heat, low, high)
    return np.clip(scaled, 0.0, 1.0, out=scaled)


def to_unit(heat: Floats, low: float, high: float) -> Floats:
    """Scale a map so that the bounds become 0 and 1, in a new array; values beyond the bounds are kept.

    A constant positive map (low = high > 0, up to float32 rounding) becomes all ones. A map without positive evidence
    becomes all zeros.
    """
    if high <= 0.0:
        return np.zeros_like(heat)
    if high - low <= ROUNDING * high:
        return np.ones_like(heat)
    scaled = heat - low
    scaled /= high - low
    return scaled


def normalise_per_clip(heat: Floats) -> Floats:
    """Normalise each clip of (N, ...) by min-max over all its other axes; see `normalise`."""
    return np.stack([normalise(clip, float(clip.min()), float(clip.max())) for clip in heat])


def relative_to_maximum(heat: Floats) -> Floats:
    """Divide each clip of (N, ...) by its largest value. Nothing is subtracted, so a smallest value above 0 stays.

    A clip without positive evidence becomes all zeros.
    """
    return np.stack([normalise(clip, 0.0, float(clip.max())) for clip in heat])


def time_weights(seconds: Floats, frame_seconds: Floats) -> NDArray[np.float64]:
    """Return the weight of each frame of a clip at given moments, one row per moment.

    Between two sampled frames the weight is shared linearly. Before the first and after the last frame, that frame has
    all the weight. Frames with the same time stamp (a short video that was held or looped) share the weight equally.

    Args:
        seconds: (S,) moments.
        frame_seconds: (T,) time stamps of the clip's frames, in any order.

    Returns:
        (S, T) float64, each row sums to 1.
    """
    unique, share = _distinct_stamps(np.asarray(frame_seconds, dtype=np.float64).tobytes())
    position = np.interp(np.asarray(seconds, dtype=np.float64), unique, np.arange(unique.size) + 0.5)
    return interpolation_matrix(position, unique.size) @ share


@lru_cache(maxsize=32)
def _distinct_stamps(stamps: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distinct time stamps (U,), and how they share the weight among the frames (U, T).

    They are cached, because a video asks for the same windows at each of its frames. Do not write to them.
    """
    unique, owner = np.unique(np.frombuffer(stamps), return_inverse=True)
    share = np.zeros((unique.size, owner.size))
    share[owner, np.arange(owner.size)] = 1.0
    share /= share.sum(axis=1, keepdims=True)
    return unique, share
