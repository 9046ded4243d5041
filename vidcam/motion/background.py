"""What lies behind: soft blotches of two sizes that drift, one over the other, either way alike likely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidcam.motion.draws import Draws
from vidcam.motion.paths import FRAMES, Values

BLOTCHES_PX = (16.0, 5.0)
"""Sizes of the blotches, the larger first."""

CONTRAST = (45.0, 20.0)
"""How far the blotches' levels may lie from their middle, which is 127."""

FASTEST_PX = 1.5
"""Pixels a frame, in y and in x."""

_CELLS = 24


@dataclass(frozen=True, slots=True, eq=False)
class TextureLayer:
    """Blotches that drift.

    Attributes:
        levels: (3, n, n) RGB in pixels around 0, the same again beyond the last row and column.
        blotch_px: size of a cell.
        start_px: (y, x) where the first frame lies.
        speed_px: (y, x) pixels a frame.
    """

    levels: Values
    blotch_px: float
    start_px: tuple[float, float]
    speed_px: tuple[float, float]


def draw_background(draws: Draws) -> tuple[TextureLayer, ...]:
    """Layers to be added up."""
    layers = []
    for blotch_px, contrast in zip(BLOTCHES_PX, CONTRAST, strict=True):
        levels = draws.uniforms(-contrast, contrast, 3, _CELLS, _CELLS)
        period = _CELLS * blotch_px
        start = draws.uniform(0.0, period), draws.uniform(0.0, period)
        speed = draws.uniform(-FASTEST_PX, FASTEST_PX), draws.uniform(-FASTEST_PX, FASTEST_PX)
        layers.append(TextureLayer(levels, blotch_px, start, speed))
    return tuple(layers)


def show(layers: tuple[TextureLayer, ...], size: tuple[int, int], shake: Values) -> Values:
    """The background (T, H, W, 3) in 0…255.

    Args:
        layers: to be added up.
        size: (H, W).
        shake: (T, 2) by which the camera moves everything, (y, x) in pixels.
    """
    shown = np.full((FRAMES, *size, 3), 127.0)
    for layer in layers:
        for frame in range(FRAMES):
            offsets = [layer.start_px[axis] + frame * layer.speed_px[axis] - shake[frame, axis] for axis in (0, 1)]
            rows, columns = (
                _weights(length, offset / layer.blotch_px, layer.blotch_px)
                for length, offset in zip(size, offsets, strict=True)
            )
            shown[frame] += np.moveaxis(rows @ layer.levels @ columns.T, 0, -1)
    return shown


def _weights(length: int, offset: float, blotch_px: float) -> Values:
    """Weights that spread cells over `length` pixels from an offset in cells, (length, n); the cells go round."""
    place = offset + np.arange(length) / blotch_px
    whole = np.floor(place)
    share, cell = place - whole, whole.astype(np.intp)
    smooth = share * share * (3.0 - 2.0 * share)
    weights = np.zeros((length, _CELLS))
    rows = np.arange(length)
    weights[rows, cell % _CELLS] = 1.0 - smooth
    weights[rows, (cell + 1) % _CELLS] = smooth
    return weights
