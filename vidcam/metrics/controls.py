"""Baseline maps that know nothing of the network: a method has to beat them.

random             the cells of a method's own map, shuffled: same values, same smoothness, other positions
                   (shuffled voxels would be white noise, which is too easy to beat)
centre             a bump in the middle of every frame, where people aim a camera
frame-difference   how much each pixel changes; it needs two frames
uniform            1 everywhere. It hides nothing, so its drop is 0. All of its ranks are ties: at equal area it keeps
                   random patches. Its pointing and energy are the share of the boxes in the volume.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.maps import Floats


def shuffled_cells(volume: Floats, generator: np.random.Generator) -> Floats:
    """Shuffle the cells of a raw map, before it is upsampled.

    Args:
        volume: (t, h, w), the map of one clip.
        generator: source of the random order; its state advances.

    Returns:
        (t, h, w), the same values.
    """
    return generator.permutation(volume.ravel()).reshape(volume.shape)


def centre_heat(size: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return exp(-2(x² + y²)), equal in every frame; x and y run from -1 to 1 between the outermost pixel centres.

    Args:
        size: (T, H, W).

    Returns:
        (T, H, W) in [0, 1], not normalised.
    """
    frames, height, width = size
    y, x = np.linspace(-1.0, 1.0, height)[:, None], np.linspace(-1.0, 1.0, width)[None, :]
    return np.repeat(np.exp(-2.0 * (x**2 + y**2))[None], frames, axis=0)


def frame_difference(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return how much each pixel differs from the frames before and after it.

    Frame t has the mean of |x_t - x_{t-1}| and |x_{t+1} - x_t|, summed over the colours. The first and the last frame
    have one neighbour and its difference alone.

    Args:
        pixels: (T, H, W, 3), T >= 2, in pixel space: before the model's scaling.

    Returns:
        (T, H, W) >= 0, not normalised; all 0 for a still clip.

    Raises:
        ShapeError: not (T, H, W, C), or a single frame.
    """
    if pixels.ndim != 4 or len(pixels) < 2:
        raise ShapeError(f"pixels must be (T, H, W, C) with two frames or more, got {pixels.shape = }")
    steps = np.abs(np.diff(pixels.astype(np.float64), axis=0)).sum(axis=-1)
    return (np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])) / 2.0
