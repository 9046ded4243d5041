"""The grid pointing game for video: the share of a map that lies in the half of its class.

Two clips of different classes are put side by side (space) or one after another (time), and each class is explained.
The truth is known without boxes: a map of one class belongs into the half of that class. For images: Böhle et al.
(arXiv:2104.00032). A map that knows nothing of the class has a share of 0.5 on average over both classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats, resize_matrix

_ROUNDING = 1e-6
"""A share this near to 0.5 is on neither side."""


def half_share(volumes: Floats, size: tuple[int, ...], *, axis: int, half: int) -> NDArray[np.float64]:
    """Return the share of each map's sum in one half of the input.

    It is the share of the map upsampled to `size`, as `upsample_volume` does it. Upsampling is linear, so the sums are
    weighted sums of the cells, and no large map is made. With an odd length, the cell in the middle counts half.

    Args:
        volumes: (N, t, h, w) raw maps on any grid, not normalised; a value below 0 counts as 0.
        size: (T, H, W) of the input with the two clips.
        axis: axis of `size` along which the clips follow each other: -1 side by side, -3 one after another.
        half: 0 for the left or the earlier clip, 1 for the right or the later one.

    Returns:
        (N,) in [0, 1]; 0.5 for a map without positive values.

    Raises:
        ShapeError: the maps have not the axes of `size`, or there is no such axis.
        InputError: `half` is neither 0 nor 1.
    """
    if volumes.ndim != 1 + len(size) or not -len(size) <= axis < 0:
        raise ShapeError(f"volumes are {volumes.shape}, size {size}, axis {axis}; expected (N, t, h, w) and (T, H, W)")
    if half not in (0, 1):
        raise InputError(f"half is {half}, expected 0 (left, earlier) or 1 (right, later)")
    raw = np.maximum(volumes, 0.0).astype(np.float64)
    to_input = [resize_matrix(length, cells) for length, cells in zip(size, raw.shape[1:], strict=True)]
    weights = [matrix.sum(axis=0) for matrix in to_input]
    total = _weighted_sum(raw, weights)
    is_first = np.clip(size[axis] / 2.0 - np.arange(size[axis]), 0.0, 1.0)
    weights[axis] = (is_first if half == 0 else 1.0 - is_first) @ to_input[axis]
    shares = _weighted_sum(raw, weights) / np.where(total > 0.0, total, 1.0)
    result: NDArray[np.float64] = np.where(total > 0.0, shares, 0.5)
    return result


def _weighted_sum(raw: NDArray[np.float64], weights: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Sum maps (N, t, h, w) over their axes with the weights (t,), (h,) and (w,)."""
    for weight in reversed(weights):
        raw = raw @ weight
    return raw


def right_side(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for a share above 0.5, 0 below it, and 0.5 for a share of 0.5, as a guess would have."""
    sides: NDArray[np.float64] = np.where(np.abs(shares - 0.5) <= _ROUNDING, 0.5, shares > 0.5)
    return sides


def draw_pairs(
    classes: Sequence[str] | Sequence[int], generator: np.random.Generator, *, groups: Sequence[str] | None = None
) -> tuple[tuple[int, int], ...]:
    """Draw pairs of clips of different classes. Each clip is in one pair at most, and of each group one clip.

    Args:
        classes: the class of each clip.
        generator: source of the random order; its state advances.
        groups: the group of each clip; None: each is its own.

    Returns:
        Pairs of positions in `classes`. The clips that are left have one class.
    """
    pairs: list[tuple[int, int]] = []
    waiting: list[int] = []  # all of one class
    used: set[str] = set()
    for clip in generator.permutation(len(classes)).tolist():
        if groups is not None and groups[clip] in used:
            continue
        if groups is not None:
            used.add(groups[clip])
        if waiting and classes[waiting[0]] != classes[clip]:
            pairs.append((waiting.pop(0), clip))
        else:
            waiting.append(clip)
    return tuple(pairs)
