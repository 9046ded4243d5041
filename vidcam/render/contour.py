"""Draw evidence as contour lines over a frame, or as a heat map without the frame.

`overlay` defines the arguments frame, heat and view.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidcam.errors import ShapeError
from vidcam.render.colormap import ColourTable
from vidcam.render.overlay import Frame, Heat, View, check_frame, in_unit_range

LEVELS = (0.25, 0.5, 0.75)
"""Levels of evidence at which a line is drawn. 1 is the strongest evidence in the video."""

OUTSIDE_GREY = 40
"""Grey value outside the model's view in `heat_picture`."""


def contours(frame: Frame, heat: Heat, view: View, table: ColourTable, *, levels: tuple[float, ...] = LEVELS) -> Frame:
    """Draw a contour line at each level, in the level's colour, with a black or white line outside it for contrast.

    Args:
        frame: (H, W, 3) uint8.
        heat: (h', w') float32 in [0, 1], on the pixels of `view`.
        view: region of the frame that the model saw, (rows, columns).
        table: colour table, (256, 3) uint8; row q is the colour of evidence q / 255.
        levels: increasing levels in (0, 1].

    Returns:
        (H, W, 3) uint8, a new array. Lines are H // 240 pixels wide, at least 2.

    Raises:
        ShapeError: shapes, dtypes or ranges are not as above.
    """
    check_frame(frame, view, heat)
    in_unit_range(heat)
    if not levels or any(not 0.0 < level <= 1.0 for level in levels) or list(levels) != sorted(set(levels)):
        raise ShapeError(f"levels must be increasing numbers in (0, 1], got {levels}")
    width = max(2, frame.shape[0] // 240)
    band = np.zeros(heat.shape, np.uint8)  # how many levels the heat reaches at each pixel
    for level in levels:
        band += heat >= np.float32(level)
    lowest, highest = band.copy(), band.copy()  # over the neighbours
    for pixels, neighbours in _neighbours(band.shape, width):
        np.minimum(lowest[pixels], band[neighbours], out=lowest[pixels])
        np.maximum(highest[pixels], band[neighbours], out=highest[pixels])
    result = frame.copy()
    view_pixels = result[view]
    outer = highest > band
    view_pixels[outer] = _contrast_colours(table, levels)[highest[outer]]
    colours = np.vstack([np.zeros((1, 3), np.uint8), table[[round(level * 255) for level in levels]]])
    inner = lowest < band
    view_pixels[inner] = colours[band[inner]]
    return result


def heat_picture(heat: Heat, view: View, frame_size: tuple[int, int], table: ColourTable) -> Frame:
    """Draw the evidence without the frame, in the colours of the table. Outside the view the picture is dark grey.

    Args:
        heat: (h', w') float32 in [0, 1], on the pixels of `view`.
        view: region of the frame that the model saw, (rows, columns).
        frame_size: (height, width) of the frame.
        table: colour table, (256, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    picture = np.full((*frame_size, 3), OUTSIDE_GREY, dtype=np.uint8)
    check_frame(picture, view, heat)
    in_unit_range(heat)
    picture[view] = table[(heat * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)]
    return picture


def _contrast_colours(table: ColourTable, levels: tuple[float, ...]) -> ColourTable:
    """Return (L + 1, 3): black for levels with a bright colour and white for levels with a dark one."""
    luminances = [float(table[round(level * 255)] @ np.array([0.2126, 0.7152, 0.0722])) for level in levels]
    return np.array([[0] * 3, *([255 if luminance < 100 else 0] * 3 for luminance in luminances)], np.uint8)


def _neighbours(shape: tuple[int, ...], distance_px: int) -> Iterator[tuple[View, View]]:
    """Yield slices of the pixels and of their neighbours at a distance: below, above, right, left."""
    full = (slice(0, shape[0]), slice(0, shape[1]))
    for axis in (0, 1):
        first = tuple(slice(0, -distance_px) if index == axis else side for index, side in enumerate(full))
        last = tuple(slice(distance_px, None) if index == axis else side for index, side in enumerate(full))
        if shape[axis] > distance_px:
            yield (first[0], first[1]), (last[0], last[1])
            yield (last[0], last[1]), (first[0], first[1])
