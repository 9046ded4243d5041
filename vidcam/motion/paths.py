"""The eight motions, and the movements that are none of them.

A motion is one whole turn, about one of four axes, either way round:

    spin      about the actor's own middle          clockwise | counter-clockwise
    circle    about a point beside it               clockwise | counter-clockwise
    carousel  about an upright axis, seen from the side: near is large     right | left  (where it goes when near)
    wheel     about a level axis, seen from the front: near is large       down | up     (likewise)

After the turn the actor is exactly where it was: what comes before and after the action tells nothing, and neither
does the set of frames, which is the same for both ways round. Only the order of the frames within the action does.
A distractor moves along one line, to and fro or on: such movements are as likely as their own reverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.motion.draws import Draws

Values = NDArray[np.float64]

LABELS = (
    "spin clockwise",
    "spin counter-clockwise",
    "circle clockwise",
    "circle counter-clockwise",
    "carousel right",
    "carousel left",
    "wheel down",
    "wheel up",
)
"""The classes in the models' order: class 2p + 1 is class 2p with time reversed."""

FRAMES = 16
SHORTEST, LONGEST = 7, 11
"""Frames that a turn may take; the actor rests in the others."""

REACH_PX = 6.0
"""Radius of a circle, a carousel and a wheel."""

NEARNESS = 0.3
"""Logarithm of how much larger the near end of a carousel or wheel is than its middle."""

_TURN = 2.0 * np.pi


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Where a thing is in each frame.

    Attributes:
        y_px: (T,) its middle, in pixel edges.
        x_px: (T,) likewise.
        angle: (T,) clockwise, in radians.
        scale: (T,) 1 is its own size.
    """

    y_px: Values
    x_px: Values
    angle: Values
    scale: Values

    def __post_init__(self) -> None:
        assert self.y_px.shape == self.x_px.shape == self.angle.shape == self.scale.shape


def reverse_of(label: int) -> int:
    """The class of a clip of class `label` with time reversed."""
    return label ^ 1


def acting_path(draws: Draws, pair: int, home: tuple[float, float]) -> tuple[Path, tuple[int, int]]:
    """A path of the first class of a pair, and the half-open interval of frames in which the actor acts.

    All classes are drawn alike: each thing that some class turns (place, size, angle) has a resting phase in all.

    Args:
        draws: to draw from.
        pair: 0 to 3, class 2 · pair.
        home: (y, x) that the actor keeps near, in pixels.
    """
    length = draws.whole(SHORTEST, LONGEST)
    start = draws.whole(0, FRAMES - length)
    turned = _turned(start, length)
    across, down, near, angle = (draws.uniform(0.0, _TURN) + np.zeros(FRAMES) for _ in range(4))
    if pair == 0:
        angle = angle + turned
    elif pair == 1:
        across = down = across + turned
    elif pair == 2:
        across = near = across + turned
    else:
        down = near = down + turned
    return _placed(home, down, across, near, angle, is_circle=pair == 1), (start, start + length)


def _turned(start: int, length: int) -> Values:
    """Phase of each frame: 0 before, one whole turn (which is 0 again) after, halfway between steps within."""
    steps = np.arange(FRAMES) - start + 0.5
    within = (steps > 0) & (steps < length)
    return np.where(within, _TURN * steps / length, 0.0)


def _placed(
    home: tuple[float, float], down: Values, across: Values, near: Values, angle: Values, *, is_circle: bool
) -> Path:
    """The path that goes with the phases; where a carousel or wheel is near (sin = 1), -cos rises: right, or down."""
    y = np.sin(down) if is_circle else -np.cos(down)
    x = np.cos(across) if is_circle else -np.cos(across)
    return Path(home[0] + REACH_PX * y, home[1] + REACH_PX * x, angle, np.exp(NEARNESS * np.sin(near)))


def distracting_path(draws: Draws, home: tuple[float, float]) -> Path:
    """A path that is no motion of the set: a slide to and fro, a pulse, a rocking, or a drift.

    Args:
        draws: to draw from.
        home: (y, x) in the middle of its movement, in pixels.
    """
    kind = draws.one_of(("slide", "pulse", "rock", "drift"))
    direction, rest, near = (draws.uniform(0.0, _TURN) for _ in range(3))
    swing = np.sin(_TURN * (np.arange(FRAMES) / draws.uniform(8.0, 16.0) + draws.uniform(0.0, 1.0)))
    away = {"slide": REACH_PX * swing, "drift": 1.5 * (np.arange(FRAMES) - (FRAMES - 1) / 2)}.get(kind, 0.0 * swing)
    return Path(
        home[0] + away * np.sin(direction),
        home[1] + away * np.cos(direction),
        rest + (0.8 * swing if kind == "rock" else 0.0 * swing),
        np.exp(NEARNESS * (swing if kind == "pulse" else np.sin(near) + 0.0 * swing)),
    )
