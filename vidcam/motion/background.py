"""The background: two layers of drifting smooth blobs, large and small. All directions are equally likely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidcam.motion.draws import Draws
from vidcam.motion.paths import Values

BLOB_PX = (16.0, 5.0)
"""Sizes of the blobs, the larger first."""

CONTRAST = (45.0, 20.0)
"""Largest deviation of a blob's level from the mean level 127."""

MAX_SPEED_PX = 1.5
"""Largest speed, pixels per frame, in y and in x."""

_CELLS = 24


@dataclass(frozen=True, slots=True, eq=False)
class TextureLayer:
    """One layer of drifting blobs.

    Attributes:
        levels: (3, n, n) RGB in pixels around 0; they repeat beyond the last row and column.
        blob_px: size of a cell.
        start_px: (y, x) offset of the first frame.
        speed_px: (y, x) pixels per frame.
    """

    levels: Values
    blob_px: float
    start_px: tuple[float, float]
    speed_px: tuple[float, float]


def draw_background(draws: Draws) -> tuple[TextureLayer, ...]:
    """Draw the random layers of a background; `render_background` adds them up."""
    layers = []
    for blob_px, contrast in zip(BLOB_PX, CONTRAST, strict=True):
        levels = draws.uniforms(-contrast, contrast, 3, _CELLS, _CELLS)
        period = _CELLS * blob_px
        start = draws.uniform(0.0, period), draws.uniform(0.0, period)
        speed = draws.uniform(-MAX_SPEED_PX, MAX_SPEED_PX), draws.uniform(-MAX_SPEED_PX, MAX_SPEED_PX)
        layers.append(TextureLayer(levels, blob_px, start, speed))
    return tuple(layers)


def render_background(layers: tuple[TextureLayer, ...], size: tuple[int, int], shake: Values) -> Values:
    """Render the background, (T, H, W, 3) in 0…255.

    Args:
        layers: layers to add up.
        size: (H, W).
        shake: (T, 2) camera shift of the whole frame, (y, x) in pixels.
    """
    frames = np.full((len(shake), *size, 3), 127.0)
    for layer in layers:
        for frame in range(len(shake)):
            offsets = [layer.start_px[axis] + frame * layer.speed_px[axis] - shake[frame, axis] for axis in (0, 1)]
            rows, columns = (
                _weights(length, offset / layer.blob_px, layer.blob_px)
                for length, offset in zip(size, offsets, strict=True)
            )
            frames[frame] += np.moveaxis(rows @ layer.levels @ columns.T, 0, -1)
    return frames


def _weights(length: int, offset: float, blob_px: float) -> Values:
    """Return weights that spread cells over `length` pixels from an offset in cells, (length, n). Cells wrap around."""
    position = offset + np.arange(length) / blob_px
    whole = np.floor(position)
    share, cell = position - whole, whole.astype(np.intp)
    smooth = share * share * (3.0 - 2.0 * share)
    weights = np.zeros((length, _CELLS))
    rows = np.arange(length)
    weights[rows, cell % _CELLS] = 1.0 - smooth
    weights[rows, (cell + 1) % _CELLS] = smooth
    return weights
