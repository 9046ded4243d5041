"""The paths of actors, which perform one of the eight motions, and of distractors.

A motion is one full turn about one of four axes, in one of two directions:

    spin      about the actor's own centre          clockwise | counter-clockwise
    circle    about a point beside it               clockwise | counter-clockwise
    carousel  about a vertical axis, from the side: larger when near       right | left  (direction when near)
    wheel     about a horizontal axis, from the front: larger when near    down | up     (direction when near)

After the turn the actor is where it was before. So the frames before and after the action do not tell the class, and
the set of frames does not either: it is the same for both directions. Only the order of the frames during the action
does. A distractor moves along a line, back and forth or onwards: its movement is as likely as its reverse.
"""

from __future__ import annotations

from collections.abc import Sequence
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
"""The classes in the models' order. Class 2p + 1 is class 2p with time reversed."""

FRAMES = 16
MIN_TURN_FRAMES, MAX_TURN_FRAMES = 7, 11
"""Length of a turn in frames. The actor rests in the other frames."""

RADIUS_PX = 6.0
"""Radius of a circle, a carousel and a wheel."""

LOG_DEPTH_SCALE = 0.3
"""Logarithm of the enlargement at the near end of a carousel or wheel."""

_TURN = 2.0 * np.pi


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Position, angle and size of an object in each frame.

    Attributes:
        y_px: (T,) y of its centre, in pixel edges.
        x_px: (T,) x of its centre, in pixel edges.
        angle: (T,) clockwise, in radians.
        scale: (T,) factor of its size.
    """

    y_px: Values
    x_px: Values
    angle: Values
    scale: Values


def acting_frames(intervals: Sequence[tuple[int, int]], count: int) -> NDArray[np.bool_]:
    """Tell which of T = `count` frames lie in each of M half-open intervals, (M, T) bool."""
    moments = np.arange(count)
    return np.array([(moments >= start) & (moments < end) for start, end in intervals])


def reversed_label(label: int) -> int:
    """Return the class of a clip of class `label` with time reversed."""
    return label ^ 1


def action_path(draws: Draws, pair: int, centre: tuple[float, float]) -> tuple[Path, tuple[int, int]]:
    """Draw a path of the first class of a pair, and its half-open interval of frames with action.

    Before and after the turn all classes look alike: position, size and angle have a random resting phase in each.

    Args:
        draws: source of random numbers.
        pair: 0 to 3; the class is 2 · pair.
        centre: (y, x) that the actor stays near, in pixels.
    """
    length = draws.integer(MIN_TURN_FRAMES, MAX_TURN_FRAMES)
    start = draws.integer(0, FRAMES - length)
    turn = _turn_phase(start, length)
    across, down, near, angle = (draws.uniform(0.0, _TURN) + np.zeros(FRAMES) for _ in range(4))
    if pair == 0:
        angle = angle + turn
    elif pair == 1:
        across = down = across + turn
    elif pair == 2:
        across = near = across + turn
    else:
        down = near = down + turn
    return _path_from_phases(centre, down, across, near, angle, is_circle=pair == 1), (start, start + length)


def _turn_phase(start: int, length: int) -> Values:
    """Return each frame's phase, (T,): 0 before the turn, a half-step grid to 2π within, 2π = 0 after it."""
    steps = np.arange(FRAMES) - start + 0.5
    within = (steps > 0) & (steps < length)
    return np.where(within, _TURN * steps / length, 0.0)


def _path_from_phases(
    centre: tuple[float, float], down: Values, across: Values, near: Values, angle: Values, *, is_circle: bool
) -> Path:
    """Return the path of the phases. A carousel or wheel is near at sin = 1, where -cos rises: right, or down."""
    y = np.sin(down) if is_circle else -np.cos(down)
    x = np.cos(across) if is_circle else -np.cos(across)
    scale = np.exp(LOG_DEPTH_SCALE * np.sin(near))
    return Path(centre[0] + RADIUS_PX * y, centre[1] + RADIUS_PX * x, angle, scale)


def distractor_path(draws: Draws, centre: tuple[float, float]) -> Path:
    """Draw a path that is none of the motions: a slide back and forth, a pulse, a rocking, or a drift.

    Args:
        draws: source of random numbers.
        centre: (y, x) of the middle of the movement, in pixels.
    """
    kind = draws.choice(("slide", "pulse", "rock", "drift"))
    direction, rest, near = (draws.uniform(0.0, _TURN) for _ in range(3))
    swing = np.sin(_TURN * (np.arange(FRAMES) / draws.uniform(8.0, 16.0) + draws.uniform(0.0, 1.0)))
    away = {"slide": RADIUS_PX * swing, "drift": 1.5 * (np.arange(FRAMES) - (FRAMES - 1) / 2)}.get(kind, 0.0 * swing)
    return Path(
        centre[0] + away * np.sin(direction),
        centre[1] + away * np.cos(direction),
        rest + (0.8 * swing if kind == "rock" else 0.0 * swing),
        np.exp(LOG_DEPTH_SCALE * (swing if kind == "pulse" else np.sin(near) + 0.0 * swing)),
    )
