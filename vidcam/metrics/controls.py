"""Baseline maps that ignore the prediction: shuffled cells and a centre bump. A method has to beat them.

`random` shuffles the cells of a method's own map: same values, same smoothness, other positions. (Shuffled voxels would
be white noise, which is too easy to beat.) `centre` is a bump in the middle of every frame, where people aim a camera.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
