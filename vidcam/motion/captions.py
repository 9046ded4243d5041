"""The caption set: clips of two things whose caption is known, and which words of it name which thing.

    a red bar rises on the left and a blue disc grows on the right

The things differ in colour, shape and motion. The left one, or the upper one, is named first. Everything in a caption
is visible. One frame hardly tells the motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.motion.background import draw_background
from vidcam.motion.clip import NOISE, SHAKE_PX, SIZE, MotionScene, render_scene
from vidcam.motion.draws import Draws
from vidcam.motion.objects import Colour, MovingObject, Shape
from vidcam.motion.paths import FRAMES, Path

T = TypeVar("T")

COLOURS: dict[str, Colour] = {
    "red": (215.0, 45.0, 45.0),
    "green": (45.0, 175.0, 60.0),
    "blue": (55.0, 75.0, 220.0),
    "yellow": (225.0, 205.0, 45.0),
    "white": (235.0, 235.0, 235.0),
}
COLOUR_RANGE = 20.0
"""Largest deviation of a channel from the colour's own value."""

SHAPES: dict[str, tuple[Shape, float]] = {
    "disc": ("ellipse", 1.0),
    "triangle": ("wedge", 1.0),
    "bar": ("box", 0.4),
}
"""Word → outline, and its width divided by its length."""

LENGTH_PX = (7.0, 8.5)
TILT = 0.3
"""Largest angle from upright, in radians."""

MOTIONS = ("rises", "falls", "grows", "shrinks")
TRAVEL_PX = (6.0, 8.0)
"""Half of the way that a thing goes, in all frames."""

LOG_GROWTH = 0.45
"""Logarithm of the size at the end of `grows`; that at its start is the inverse."""

PLACES = ("left", "right", "top", "bottom")
PLACE_PHRASES = {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}

VOCABULARY = ("<end>", "a", "and", "at", "on", "the", *COLOURS, *SHAPES, *MOTIONS, *PLACES)
"""The words, and the sign after the last one, in the order of a captioner's outputs."""


@dataclass(frozen=True, slots=True)
class Thing:
    """What a caption says of one thing: a word of `COLOURS`, `SHAPES`, `MOTIONS` and `PLACES`."""

    colour: str
    shape: str
    motion: str
    place: str


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedClip:
    """Frames and what they show.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        things: the two things, in the order of the caption.
        masks: (2, T, H, W) bool, the pixels of each.
    """

    frames: NDArray[np.uint8]
    things: tuple[Thing, Thing]
    masks: NDArray[np.bool_]

    @property
    def caption(self) -> str:
        """The words about both things."""
        return caption_of(self.things)


def caption_of(things: Sequence[Thing]) -> str:
    """Say what things are shown: 'a red bar rises on the left and a blue disc grows on the right'."""
    return " and ".join(f"a {each.colour} {each.shape} {each.motion} {PLACE_PHRASES[each.place]}" for each in things)


def make_captioned_clip(seed: int) -> CaptionedClip:
    """Make a clip of a seed; equal seeds give equal clips.

    Raises:
        InputError: a negative seed.
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; it must be at least 0")
    draws = Draws(seed, len(PLACES))
    places = draws.choice((PLACES[:2], PLACES[2:]))
    colours, shapes, motions = (_two(draws, words) for words in (tuple(COLOURS), tuple(SHAPES), MOTIONS))
    first, second = (Thing(*words) for words in zip(colours, shapes, motions, places, strict=True))
    scene = MotionScene(
        draw_background(draws),
        distractors=(),
        actors=(_draw_thing(draws, first), _draw_thing(draws, second)),
        intervals=((0, FRAMES), (0, FRAMES)),
        shake=draws.uniforms(-SHAKE_PX, SHAKE_PX, FRAMES, 2),
        noise=draws.uniforms(-NOISE, NOISE, FRAMES, *SIZE, 3),
    )
    frames, masks = render_scene(scene)
    return CaptionedClip(frames, (first, second), masks)


def _two(draws: Draws, choices: Sequence[T]) -> tuple[T, T]:
    """Draw two different values."""
    first = draws.integer(0, len(choices) - 1)
    return choices[first], choices[(first + draws.integer(1, len(choices) - 1)) % len(choices)]


def _draw_thing(draws: Draws, thing: Thing) -> MovingObject:
    """Draw the looks of a thing and its path."""
    shape, width = SHAPES[thing.shape]
    red, green, blue = (level + draws.uniform(-COLOUR_RANGE, COLOUR_RANGE) for level in COLOURS[thing.colour])
    colour = red, green, blue
    return MovingObject(shape, draws.uniform(*LENGTH_PX), width, colour, colour, _draw_path(draws, thing))


def _draw_path(draws: Draws, thing: Thing) -> Path:
    """Draw a path that stays in its half of the frame."""
    across = {"left": 0.25, "right": 0.75, "top": 0.25, "bottom": 0.75}[thing.place] * SIZE[0] + draws.uniform(-2, 2)
    along = draws.uniform(18.0, SIZE[0] - 18.0)
    y, x = (along, across) if thing.place in ("left", "right") else (across, along)
    swing = np.linspace(-1.0, 1.0, FRAMES)
    travel = draws.uniform(*TRAVEL_PX) * swing
    down = {"rises": -travel, "falls": travel}.get(thing.motion, 0.0 * swing)
    growth = {"grows": LOG_GROWTH, "shrinks": -LOG_GROWTH}.get(thing.motion, 0.0)
    upright = -0.5 * np.pi + draws.uniform(-TILT, TILT)
    return Path(y + down, x + 0.0 * swing, upright + 0.0 * swing, np.exp(growth * swing))
