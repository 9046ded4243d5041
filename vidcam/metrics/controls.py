"""Baseline maps that ignore the prediction: shuffled cells and a centre bump. A method has to beat them.

`random` is a map's own cells in another order: as large, as smooth and as strong, elsewhere. (Voxels in another order
would be white noise, too easy to beat.) `centre` is a bump in the middle of every frame: videos are shot that way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats


def shuffled_cells(volume: Floats, generator: np.random.Generator) -> Floats:
    """The cells of a feature grid in random order: of a raw map, before it is upsampled.

    Args:
        volume: (t, h, w), the map of one clip.
        generator: of the order; it is advanced.

    Returns:
        (t, h, w), the same values.
    """
    return generator.permutation(volume.ravel()).reshape(volume.shape)


def centre_heat(size: tuple[int, int, int]) -> NDArray[np.float64]:
    """exp(-2(x² + y²)) with x and y from -1 to 1 over the middles of the outermost pixels, the same in every frame.

    Args:
        size: (T, H, W).

    Returns:
        (T, H, W) in [0, 1], not normalised.
    """
    frames, height, width = size
    y, x = np.linspace(-1.0, 1.0, height)[:, None], np.linspace(-1.0, 1.0, width)[None, :]
    return np.repeat(np.exp(-2.0 * (x**2 + y**2))[None], frames, axis=0)
