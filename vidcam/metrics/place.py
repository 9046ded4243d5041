"""The place where a map peaks: a box around its maximum. If a map is right, hiding the box lowers the score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidcam.maps import Floats

PLACE_SHARE = 0.25
"""Share of each axis that the box covers: of the frames, the height and the width."""


def peak_place(heat: Floats) -> tuple[slice, ...]:
    """Return the box around a map's maximum, moved so that it lies inside the clip.

    Args:
        heat: (T, H, W), (H, W) of an image or (L,) of a signal. Of several maxima the first counts.

    Returns:
        One slice for each axis. Each is at least one long.
    """
    centre = np.unravel_index(int(heat.argmax()), heat.shape)
    return place_around([int(index) for index in centre], heat.shape)


def place_around(centre: Sequence[int], size: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the box around a position; arguments and result as `peak_place`."""
    lengths = [max(1, round(PLACE_SHARE * length)) for length in size]
    starts = [
        min(max(middle - length // 2, 0), whole - length)
        for middle, length, whole in zip(centre, lengths, size, strict=True)
    ]
    return tuple(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))
