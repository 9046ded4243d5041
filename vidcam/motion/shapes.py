"""The shape set: images with one to four shapes of known classes, with exact ground truth. See docs/images.md.

The shapes of an image differ in size (their areas up to five-fold), angle and colour, and may be of different classes.
Between them lie one or two ellipses, which belong to no class. So a map can be asked whether it shows every instance of
a class, as GC++ 3.1 claims, and whether it leaves out what is not of the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.motion.background import draw_background, render_background
from vidcam.motion.draws import Draws, draws_for
from vidcam.motion.paths import Values

SHAPE_LABELS = ("triangle", "square", "cross", "ring", "half-disc", "star", "crescent", "corner")
"""The classes in the models' order."""

SIZE = (96, 96)
"""(H, W) of the images. Models take them without resizing."""

MAX_SHAPES = 4
RADIUS_PX = (6.5, 14.5)
GAP_PX = 3.0
"""Smallest distance of the circles around two shapes; shapes never touch."""

DISTRACTORS = (1, 2)
NOISE = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class ShapeImage:
    """An image and its ground truth.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        labels: M indices of classes in `SHAPE_LABELS`, one per shape.
        masks: (M, H, W) bool, the pixels of each shape.
    """

    pixels: NDArray[np.uint8]
    labels: tuple[int, ...]
    masks: NDArray[np.bool_]

    @property
    def boxes(self) -> NDArray[np.int64]:
        """(M, 4), the smallest box around each shape: left, top, width, height in pixels."""
        places = [np.nonzero(mask) for mask in self.masks]
        return np.array([(x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1) for y, x in places], np.int64)


@dataclass(frozen=True, slots=True)
class _Circle:
    """The circle around a shape, in pixels."""

    y: float
    x: float
    radius: float


def make_shape_image(seed: int, labels: Sequence[int]) -> ShapeImage:
    """Make an image of a seed and the classes of its shapes; equal arguments give equal images.

    Args:
        seed: >= 0.
        labels: one to four indices in `SHAPE_LABELS`, one per shape.

    Raises:
        InputError: a negative seed, an unknown class, or another number of shapes.
    """
    draws = draws_for(seed, labels, classes=len(SHAPE_LABELS), most=MAX_SHAPES)
    circles = _apart(draws, len(labels) + draws.integer(*DISTRACTORS))
    pixels = render_background(draw_background(draws), SIZE, np.zeros((1, 2)))[0]
    masks: list[NDArray[np.bool_]] = []
    for index, circle in enumerate(circles):
        share = np.clip(0.5 - _outside(draws, circle, labels[index] if index < len(labels) else None), 0.0, 1.0)
        pixels += share[..., None] * (_colour(draws) - pixels)
        masks.append(share >= 0.5)
    pixels += draws.uniforms(-NOISE, NOISE, *SIZE, 3)
    image = np.clip(np.round(pixels), 0.0, 255.0).astype(np.uint8)
    return ShapeImage(image, tuple(labels), np.stack(masks[: len(labels)]))


def _apart(draws: Draws, count: int) -> list[_Circle]:
    """Draw circles inside the image until none of them comes near another."""
    while True:
        radii = [draws.uniform(*RADIUS_PX) for _ in range(count)]
        circles = [
            _Circle(draws.uniform(r + 1.0, SIZE[0] - r - 1.0), draws.uniform(r + 1.0, SIZE[1] - r - 1.0), r)
            for r in radii
        ]
        pairs = [(a, b) for index, a in enumerate(circles) for b in circles[:index]]
        if all(np.hypot(a.y - b.y, a.x - b.x) >= a.radius + b.radius + GAP_PX for a, b in pairs):
            return circles


def _colour(draws: Draws) -> Values:
    """Draw a light or a dark colour, RGB in 0…255; the background is in between."""
    low, high = (185.0, 255.0) if draws.integer(0, 1) else (0.0, 70.0)
    return draws.uniforms(low, high, 3)


def _outside(draws: Draws, circle: _Circle, label: int | None) -> Values:
    """Return the approximate distance of each pixel from the outline at a random angle, (H, W); negative inside.

    `label` None is an ellipse of a random width.
    """
    angle, width = draws.uniform(0.0, 2.0 * np.pi), draws.uniform(0.45, 0.9)
    y, x = (np.arange(length) + 0.5 - middle for length, middle in zip(SIZE, (circle.y, circle.x), strict=True))
    cosine, sine = np.cos(angle) / circle.radius, np.sin(angle) / circle.radius
    along, aside = cosine * x[None] + sine * y[:, None], cosine * y[:, None] - sine * x[None]
    if label is None:
        ellipse: Values = (np.hypot(along, aside / width) - 1.0) * width * circle.radius
        return ellipse
    return _OUTLINES[SHAPE_LABELS[label]](along, aside) * circle.radius


def _triangle(x: Values, y: Values) -> Values:
    slanted: Values = np.sqrt(3.0) / 2.0 * np.abs(y) - 0.5 * x
    return np.maximum(x, slanted) - 0.5


def _cross(x: Values, y: Values) -> Values:
    long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return np.maximum(long - 0.95, short - 0.27)


def _star(x: Values, y: Values) -> Values:
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    turn = np.abs(np.mod(angle, 2.0 * np.pi / 5.0) - np.pi / 5.0)  # from a valley, 0, to a tip, π/5
    return radius * np.cos(turn - np.pi / 5.0) * 0.55 + radius * np.sin(np.pi / 5.0 - turn) * 0.83 - 0.5


_OUTLINES: Mapping[str, Callable[[Values, Values], Values]] = {
    "triangle": _triangle,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) - 0.7,
    "cross": _cross,
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.75) - 0.23,
    "half-disc": lambda x, y: np.maximum(np.hypot(x + 0.4, y) - 1.0, -(x + 0.4)),
    "star": _star,
    "crescent": lambda x, y: np.maximum(np.hypot(x, y) - 0.98, 0.75 - np.hypot(x - 0.5, y)),
    "corner": lambda x, y: np.maximum(np.maximum(np.abs(x), np.abs(y)) - 0.72, np.minimum(x, y) + 0.24),
}
"""Distance from the outline of each shape, for coordinates in which the circle around it has radius 1."""
