"""Videos of the motion set that are several windows long.

A clip of 16 frames is stretched to 48. Before and after its action the actor rests. The distractors go on, back and
forth. The actor may turn several times in a row, so that its action is longer than a window.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidcam.motion.clip import NOISE, SHAKE_PX, SIZE, MotionClip, draw_scene, render_scene
from vidcam.motion.draws import Draws
from vidcam.motion.objects import MovingObject
from vidcam.motion.paths import FRAMES, Path

LENGTH = 48
"""Frames of a long clip: three windows."""

_SEED = 7
"""Keeps these draws apart from those of the 16 frames."""


def long_clip(seed: int, label: int, *, turns: int = 1) -> MotionClip:
    """Make a clip of 48 frames in which one actor turns at a random time.

    Args:
        seed: seed of the scene.
        label: class of the motion, 0 to 7.
        turns: number of turns in a row, 1 to 4; a turn has 7 to 11 frames.
    """
    pair, is_reversed = divmod(label, 2)
    scene = draw_scene(Draws(seed, pair, 1), pair, 1)
    draws = Draws(seed, pair, turns, _SEED)
    start, end = scene.intervals[0]
    begin = draws.integer(0, LENGTH - turns * (end - start))
    acting = actor_frames((start, end), begin=begin, turns=turns)
    offset = draws.integer(0, FRAMES - 1)
    frames, masks = render_scene(
        replace(
            scene,
            actors=tuple(_follow(actor, acting) for actor in scene.actors),
            distractors=tuple(_follow(moving, there_and_back(offset)) for moving in scene.distractors),
            shake=draws.uniforms(-SHAKE_PX, SHAKE_PX, LENGTH, 2),
            noise=draws.uniforms(-NOISE, NOISE, LENGTH, *SIZE, 3),
        )
    )
    clip = MotionClip(frames, 2 * pair, masks, ((begin, begin + turns * (end - start)),))
    return clip.reversed() if is_reversed else clip


def actor_frames(interval: tuple[int, int], *, begin: int, turns: int) -> NDArray[np.intp]:
    """Return which of the 16 frames of an actor's path each of the 48 frames shows, (48,).

    Args:
        interval: the half-open interval of the turn in the 16 frames; at least one frame is outside it.
        begin: frame of the long clip at which the first turn begins.
        turns: number of turns.
    """
    start, end = interval
    rest = start - 1 if start > 0 else end
    indices = np.full(LENGTH, rest, np.intp)
    indices[begin : begin + turns * (end - start)] = np.tile(np.arange(start, end), turns)
    return indices


def there_and_back(offset: int) -> NDArray[np.intp]:
    """Return which of the 16 frames of a distractor's path each of the 48 frames shows, (48,): 0 to 15, 15 to 0."""
    position = (np.arange(LENGTH) + offset) % (2 * FRAMES)
    return np.minimum(position, 2 * FRAMES - 1 - position).astype(np.intp)


def _follow(moving: MovingObject, frames: NDArray[np.intp]) -> MovingObject:
    path = moving.path
    values = (path.y_px[frames], path.x_px[frames], path.angle[frames], path.scale[frames])
    return replace(moving, path=Path(*values))
