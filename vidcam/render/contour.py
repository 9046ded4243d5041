"""Draw evidence as contour lines over a frame, or as a heat map without the frame.

`overlay` defines the arguments frame, heat and view.
"""

from __future__ import annotations

import numpy as np

from vidcam.render.colormap import ColourTable
from vidcam.render.overlay import Frame, Heat, View, in_unit_range

LEVELS = (0.25, 0.5, 0.75)
"""Levels of evidence at which a line is drawn. 1 is the strongest evidence in the video."""

OUTSIDE_GREY = 40
"""Grey value outside the model's view in `heat_picture`."""


def contours(frame: Frame, heat: Heat, view: View, table: ColourTable) -> Frame:
    """Draw a contour line at each of the `LEVELS`, in its colour, with a black or white line outside it for contrast.

    Lines are H // 240 pixels wide, at least 2. Row q of the table is the colour of evidence q / 255.

    Returns:
        (H, W, 3) uint8, a new array.

    Raises:
        ShapeError: the heat is not in [0, 1].
    """
    in_unit_range(heat)
    width = max(2, frame.shape[0] // 240)
    band = np.zeros(heat.shape, np.uint8)  # how many levels the heat reaches at each pixel
    for level in LEVELS:
        band += heat >= np.float32(level)
    lowest, highest = band.copy(), band.copy()  # over the neighbours
    for axis in (0, 1):
        low, high, own = (np.moveaxis(levels, axis, 0) for levels in (lowest, highest, band))
        for pixels, neighbours in ((slice(-width), slice(width, None)), (slice(width, None), slice(-width))):
            np.minimum(low[pixels], own[neighbours], out=low[pixels])
            np.maximum(high[pixels], own[neighbours], out=high[pixels])
    result = frame.copy()
    view_pixels = result[view]
    colours = table[[round(level * 255) for level in LEVELS]]
    contrast = np.where(colours @ np.array([0.2126, 0.7152, 0.0722]) < 100, 255, 0)  # by the luminance
    outer, inner = highest > band, lowest < band
    view_pixels[outer] = contrast[highest[outer] - 1, None]
    view_pixels[inner] = colours[band[inner] - 1]
    return result


def heat_picture(heat: Heat, view: View, frame_size: tuple[int, int], table: ColourTable) -> Frame:
    """Draw the evidence without the frame, in the colours of the table; the frame has (height, width).

    Outside the view the picture is dark grey.
    """
    picture = np.full((*frame_size, 3), OUTSIDE_GREY, dtype=np.uint8)
    in_unit_range(heat)
    picture[view] = table[(heat * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)]
    return picture
