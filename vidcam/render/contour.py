"""Evidence as lines: iso-lines of the heat over untouched footage, and the heat alone without footage.

Frames, heat and view are those of `overlay`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidcam.errors import ShapeError
from vidcam.render.colormap import ColourTable
from vidcam.render.overlay import Frame, Heat, View, check_frame

LEVELS = (0.25, 0.5, 0.75)
"""Shares of the video's strongest evidence at which a line is drawn."""

AROUND = 40
"""Brightness outside the model's view where only evidence is shown."""


def contours(frame: Frame, heat: Heat, view: View, table: ColourTable, *, levels: tuple[float, ...] = LEVELS) -> Frame:
    """The frame with a line where the evidence passes each level, in that level's colour and one of contrast outside.

    Args:
        frame: (H, W, 3) uint8.
        heat: (h', w') float32 in [0, 1], on the pixels of `view`.
        view: what the model saw, (rows, columns).
        table: (256, 3) uint8, colour of evidence q / 255.
        levels: increasing, in (0, 1].

    Returns:
        (H, W, 3) uint8, a new array; lines are 2 pixels wide, from 720 rows on 1 for each 240.

    Raises:
        ShapeError: shapes, dtypes or ranges are not as above.
    """
    check_frame(frame, view, heat)
    if not levels or any(not 0.0 < level <= 1.0 for level in levels) or list(levels) != sorted(set(levels)):
        raise ShapeError(f"levels are {levels}, expected increasing shares in (0, 1], such as {LEVELS}")
    width = max(2, frame.shape[0] // 240)
    above = np.zeros(heat.shape, np.uint8)  # how many levels lie below each pixel
    for level in levels:
        above += heat >= np.float32(level)
    least, most = above.copy(), above.copy()
    for ours, theirs in _neighbours(above.shape, width):
        np.minimum(least[ours], above[theirs], out=least[ours])
        np.maximum(most[ours], above[theirs], out=most[ours])
    result = frame.copy()
    seen = result[view]
    outer = most > above
    seen[outer] = _contrasts(table, levels)[most[outer]]
    colours = np.vstack([np.zeros((1, 3), np.uint8), table[[round(level * 255) for level in levels]]])
    inner = least < above
    seen[inner] = colours[above[inner]]
    return result


def heat_picture(heat: Heat, view: View, frame_size: tuple[int, int], table: ColourTable) -> Frame:
    """The evidence alone, in the table's colours; dark grey outside the model's view.

    Args:
        heat: (h', w') float32 in [0, 1], on the pixels of `view`.
        view: what the model saw, (rows, columns).
        frame_size: (height, width) of the source.
        table: (256, 3) uint8.

    Returns:
        (H, W, 3) uint8.
    """
    picture = np.full((*frame_size, 3), AROUND, dtype=np.uint8)
    check_frame(picture, view, heat)
    picture[view] = table[(heat * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)]
    return picture


def _contrasts(table: ColourTable, levels: tuple[float, ...]) -> ColourTable:
    """(L + 1, 3): black beside bright lines and white beside dark ones, to be seen on any footage."""
    brightness = [float(table[round(level * 255)] @ np.array([0.2126, 0.7152, 0.0722])) for level in levels]
    return np.array([[0] * 3, *([255 if each < 100 else 0] * 3 for each in brightness)], np.uint8)


def _neighbours(shape: tuple[int, ...], by_px: int) -> Iterator[tuple[View, View]]:
    """Slices of pixels, and of those that lie `by_px` from them: below, above, right, left."""
    whole = (slice(0, shape[0]), slice(0, shape[1]))
    for axis in (0, 1):
        head = tuple(slice(0, -by_px) if each == axis else side for each, side in enumerate(whole))
        tail = tuple(slice(by_px, None) if each == axis else side for each, side in enumerate(whole))
        if shape[axis] > by_px:
            yield (head[0], head[1]), (tail[0], tail[1])
            yield (tail[0], tail[1]), (head[0], head[1])
