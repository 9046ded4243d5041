"""Draw guided maps: zero is grey, positive values are brighter and negative values darker.

A guided map has one value per input pixel of the model and channel. The RGB channels of the map become the RGB channels
of the picture. The picture is grey where the gradient is zero and outside the model's view. All frames of a video use
the same scale, so they can be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.geometry import Geometry
from vidcam.maps import Floats, resample_plane
from vidcam.render.overlay import Frame, View, draw_outline

GREY = 128
PERCENTILE = 99.5

_TINY = 1e-30  # below this scale, use float64: 127.5 / scale overflows in float32


def guided_scale(samples: Floats) -> float:
    """Compute the value that is drawn white, and its negative black: the 99.5th percentile of |v|.

    A percentile is used because single spikes do not change it.

    Args:
        samples: values v of any shape, from a whole video or a representative part of it.

    Returns:
        The percentile; the largest |v| if the percentile is 0; 1.0 if all values are 0.
    """
    magnitudes = np.abs(np.asarray(samples, dtype=np.float64))
    if not magnitudes.any():
        return 1.0
    return float(np.percentile(magnitudes, PERCENTILE)) or float(magnitudes.max())


def guided_on_source(values: Floats, geometry: Geometry) -> Floats:
    """Resample one frame of a guided map to the source pixels inside `geometry.view_slices()`.

    Interpolation is linear between pixel centres. If the source has less than half the size of the model's input, some
    input pixels are skipped.

    Args:
        values: (C, H, W), one frame of the guided map.
        geometry: transform from the source frame to the model's input.

    Returns:
        (H', W', C).
    """
    rows, columns = geometry.source_matrices((values.shape[1], values.shape[2]))
    return np.moveaxis(resample_plane(values, rows, columns), 0, -1)


def guided_picture(values: Floats, view: View, frame_size: tuple[int, int], scale: float) -> Frame:
    """Draw one frame as 127.5 + 127.5 · v / scale, rounded and clipped, with an outline around the model's view.

    Args:
        values: signed values v, (H', W', C), on the pixels of `view`. C = 3, or C = 1 for a grey picture.
        view: region of the frame that the model saw, (rows, columns).
        frame_size: (height, width) of the source frame.
        scale: the |v| that is drawn white or black; see `guided_scale`.

    Returns:
        (H, W, 3) uint8. It is 128 where v is 0 and outside the view.
    """
    picture = np.full((*frame_size, 3), GREY, dtype=np.uint8)
    picture[view] = _grey_levels(values, scale)
    draw_outline(picture, view)
    return picture


def _grey_levels(values: Floats, scale: float) -> NDArray[Any]:
    """Map values to (H', W', C) uint8: -scale to 0, 0 to 128, and scale to 255."""
    precise = values if scale > _TINY else values.astype(np.float64)
    levels = np.clip(precise, -scale, scale)
    levels *= 127.5 / scale
    levels += 128.0  # 127.5, plus 0.5 because the cast rounds down
    return levels.astype(np.uint8)
