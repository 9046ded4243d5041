"""Guided maps as pictures: signed values around grey, brighter for positive, darker for negative.

A value is one of the model's input pixels in one channel; the colours of the picture are its channels, red first. Grey
is no evidence: in the model's view where the gradient is zero, and everywhere outside it. One scale serves a whole
video, so that frames can be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError, ShapeError
from vidcam.geometry import Geometry
from vidcam.maps import Floats, resample_plane
from vidcam.render.overlay import Frame, View, outline

GREY = 128
PERCENTILE = 99.5

_TINY = 1e-30  # scales below this are worked out in float64, where 127.5 / scale does not overflow


def guided_scale(samples: Floats) -> float:
    """The value that is drawn white (its negative black): the 99.5th percentile of |v|, so that spikes do not set it.

    Args:
        samples: values of any shape, of a whole video or a fair part of it.

    Returns:
        > 0: the largest |v| where so few are not zero that the percentile is, 1.0 where all are.

    Raises:
        ShapeError: NaN or infinity.
    """
    magnitudes = np.abs(np.asarray(samples, dtype=np.float64))
    if not np.isfinite(magnitudes).all():
        raise ShapeError("guided values contain NaN or infinity, expected finite numbers; check the gradients")
    if not magnitudes.any():
        return 1.0
    return float(np.percentile(magnitudes, PERCENTILE)) or float(magnitudes.max())


def guided_on_source(values: Floats, geometry: Geometry) -> Floats:
    """Values of one frame of the model's input on the source's pixels inside `geometry.view_slices()`.

    Linear between the middles of the input's pixels. A source less than half the size of the model's input shows only
    a part of them.

    Args:
        values: (C, H, W), one frame of the guided map.
        geometry: source frame → model input.

    Returns:
        (H', W', C).
    """
    if values.ndim != 3:
        raise ShapeError(f"guided values of a frame must be (C, H, W), got {values.shape = }")
    rows, columns = geometry.source_matrices((values.shape[1], values.shape[2]))
    return np.moveaxis(resample_plane(values, rows, columns), 0, -1)


def guided_picture(values: Floats, view: View, frame_size: tuple[int, int], scale: float) -> Frame:
    """The picture of one frame: 127.5 + 127.5 · v / scale, rounded and clipped, with the model's view outlined.

    Args:
        values: v, (H', W', C) signed, on the pixels of `view`; C = 3, or 1 for a picture without colours.
        view: what the model saw, (rows, columns).
        frame_size: (height, width) of the source.
        scale: the |v| at which it is white or black; see `guided_scale`.

    Returns:
        (H, W, 3) uint8; 128 where v is 0 and outside the view.

    Raises:
        ShapeError: the values are not as above, or not finite.
        InputError: the scale is not a positive number.
    """
    expected = tuple(side.stop - side.start for side in view)
    if values.ndim != 3 or values.shape[:2] != expected or values.shape[2] not in {1, 3}:
        raise ShapeError(f"guided values must be {expected}, as the view, with 1 or 3 channels, got {values.shape = }")
    if not np.isfinite(values).all():
        raise ShapeError("guided values contain NaN or infinity, expected finite numbers; check the gradients")
    if not 0.0 < scale < np.inf:
        raise InputError(f"scale is {scale}, it must be a positive number; `guided_scale` gives one")
    picture = np.full((*frame_size, 3), GREY, dtype=np.uint8)
    seen = picture[view]
    if seen.shape[:2] != expected:
        raise ShapeError(f"the view must be a pair of slices inside the frame, got {view = } with {frame_size = }")
    seen[:] = _levels(values, scale)
    return outline(picture, view)


def _levels(values: Floats, scale: float) -> NDArray[Any]:
    """Brightness from -scale (0) over 0 (128) to scale (255), (H', W', C) uint8."""
    exact = values if scale > _TINY else values.astype(np.float64)
    levels = np.clip(exact, -scale, scale)
    levels *= 127.5 / scale
    levels += 128.0  # half a level more than the middle: casting rounds down
    return levels.astype(np.uint8)
