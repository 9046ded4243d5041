"""Visible objects: shapes of two colours on a path. Actors and distractors look alike.

One half is light, the other dark, and the shape is elongated, so that its direction is visible. Edges are one pixel
wide: the object's share of a pixel follows from the distance between the pixel's centre and the outline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vidcam.motion.draws import Draws
from vidcam.motion.paths import Path, Values

Shape = Literal["ellipse", "box", "wedge"]

Colour = tuple[float, float, float]

LENGTH_PX = (5.5, 7.0)
"""Half of the longer axis, at scale 1."""


@dataclass(frozen=True, slots=True, eq=False)
class MovingObject:
    """Shape, colours and path of an object.

    Attributes:
        shape: shape of the outline.
        length_px: half of the longer axis at scale 1.
        width: shorter axis divided by the longer axis.
        front: RGB in 0…255 of the front half.
        back: RGB in 0…255 of the back half.
        path: position, angle and size in each frame.
    """

    shape: Shape
    length_px: float
    width: float
    front: Colour
    back: Colour
    path: Path


def draw_object(draws: Draws, path: Path) -> MovingObject:
    """Draw an object of random appearance on a path; either half may be the light one."""
    light, dark = _colour(draws, 175.0, 255.0), _colour(draws, 0.0, 80.0)
    front, back = (light, dark) if draws.integer(0, 1) else (dark, light)
    shape: Shape = draws.choice(get_args(Shape))
    return MovingObject(shape, draws.uniform(*LENGTH_PX), draws.uniform(0.6, 0.75), front, back, path)


def _colour(draws: Draws, low: float, high: float) -> Colour:
    return draws.uniform(low, high), draws.uniform(low, high), draws.uniform(low, high)


def object_shares(moving: MovingObject, size: tuple[int, int], shake: Values) -> tuple[Values, Values]:
    """Compute how much of each pixel an object covers.

    Args:
        moving: the object.
        size: (H, W) of the frames.
        shake: (T, 2) camera shift of the whole frame, (y, x) in pixels.

    Returns:
        The object's share of each pixel (T, H, W) in [0, 1], and the front half's share of that, (T, H, W) in [0, 1].
    """
    path = moving.path
    y = np.arange(size[0])[None, :, None] + 0.5 - _per_frame(path.y_px + shake[:, 0])
    x = np.arange(size[1])[None, None, :] + 0.5 - _per_frame(path.x_px + shake[:, 1])
    cosine, sine = _per_frame(np.cos(path.angle)), _per_frame(np.sin(path.angle))
    along, aside = cosine * x + sine * y, cosine * y - sine * x
    length = _per_frame(moving.length_px * path.scale)
    outside = _distance(moving.shape, along, np.abs(aside), length, moving.width * length)
    return np.clip(0.5 - outside, 0.0, 1.0), np.clip(0.5 + along, 0.0, 1.0)


def _distance(shape: Shape, along: Values, aside: Values, length: Values, width: Values) -> Values:
    """Return the approximate distance from the outline, in pixels; negative inside."""
    if shape == "ellipse":
        return (np.sqrt((along / length) ** 2 + (aside / width) ** 2) - 1.0) * width
    if shape == "box":
        return np.maximum(np.abs(along) - 0.9 * length, aside - 0.8 * width)
    slope = 0.6 * width / length  # from the tip at +length to the tail's corners at -0.7 length
    return np.maximum(-along - 0.7 * length, (aside - slope * (length - along)) / np.sqrt(1.0 + slope**2))


def _per_frame(values: Values) -> Values:
    """(T,) as (T, 1, 1)."""
    return values[:, None, None]
