"""A thing that can be seen: a shape of two colours on a path. Actors and distractors look alike.

One half is light, the other dark, and the shape is long rather than wide, so that it can be seen which way it points.
Edges are a pixel wide: what a pixel shows of the thing is its share, from the distance of its middle to the outline.
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
class Thing:
    """Shape, colours and path.

    Attributes:
        shape: of its outline.
        length_px: half of the longer axis at scale 1.
        width: the shorter axis as a share of the longer.
        front: RGB in 0…255 of the half that it points with.
        back: RGB of the other half.
        path: where it is.
    """

    shape: Shape
    length_px: float
    width: float
    front: Colour
    back: Colour
    path: Path


def draw_thing(draws: Draws, path: Path) -> Thing:
    """A thing of random looks on a path; either half may be the light one."""
    light, dark = _colour(draws, 175.0, 255.0), _colour(draws, 0.0, 80.0)
    front, back = (light, dark) if draws.whole(0, 1) else (dark, light)
    shape: Shape = draws.one_of(get_args(Shape))
    return Thing(shape, draws.uniform(*LENGTH_PX), draws.uniform(0.6, 0.75), front, back, path)


def _colour(draws: Draws, low: float, high: float) -> Colour:
    return draws.uniform(low, high), draws.uniform(low, high), draws.uniform(low, high)


def cover(thing: Thing, size: tuple[int, int], shake: Values) -> tuple[Values, Values]:
    """What is seen of a thing.

    Args:
        thing: what.
        size: (H, W) of the frames.
        shake: (T, 2) by which the camera moves everything, (y, x) in pixels.

    Returns:
        its share of each pixel (T, H, W) in [0, 1], and the share of its front half in what is seen there, likewise.
    """
    path = thing.path
    y = np.arange(size[0])[None, :, None] + 0.5 - _each(path.y_px + shake[:, 0])
    x = np.arange(size[1])[None, None, :] + 0.5 - _each(path.x_px + shake[:, 1])
    cosine, sine = _each(np.cos(path.angle)), _each(np.sin(path.angle))
    along, aside = cosine * x + sine * y, cosine * y - sine * x
    length = _each(thing.length_px * path.scale)
    outside = _distance(thing.shape, along, np.abs(aside), length, thing.width * length)
    return np.clip(0.5 - outside, 0.0, 1.0), np.clip(0.5 + along, 0.0, 1.0)


def _distance(shape: Shape, along: Values, aside: Values, length: Values, width: Values) -> Values:
    """About how far outside the outline a place is, in pixels; below 0 inside."""
    if shape == "ellipse":
        return (np.sqrt((along / length) ** 2 + (aside / width) ** 2) - 1.0) * width
    if shape == "box":
        return np.maximum(np.abs(along) - 0.9 * length, aside - 0.8 * width)
    slope = 0.6 * width / length  # from the tip, at +length, to the corners of the tail, at -0.7 length
    return np.maximum(-along - 0.7 * length, (aside - slope * (length - along)) / np.sqrt(1.0 + slope**2))


def _each(values: Values) -> Values:
    """(T,) as (T, 1, 1)."""
    return values[:, None, None]
