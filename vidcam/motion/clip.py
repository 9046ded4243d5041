"""A clip of the motion set: what is seen, and what is true of it.

A clip of the second class of a pair is made as one of the first and then reversed, frames and truth. So whatever does
not look at the order of the frames (a single frame, a shuffled clip, the background) cannot tell the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.motion.background import TextureLayer, draw_background, show
from vidcam.motion.draws import Draws
from vidcam.motion.paths import FRAMES, LABELS, Values, acting_path, distracting_path, reverse_of
from vidcam.motion.thing import Thing, cover, draw_thing

SIZE = (64, 64)
"""(H, W) of the frames, which the models see as they are."""

MOST_ACTORS = 3
MARGIN_PX = 17.0
"""How near to the edge of the frame an actor's home may lie: all of it stays in the picture, wherever it turns."""

APART_PX = 24.0
"""How near to each other the homes of two actors may lie: they hardly ever touch."""

DISTRACTORS = (1, 2)
SHAKE_PX = 0.8
NOISE = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class MotionClip:
    """Frames and the truth about them.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        label: index of the class in `LABELS`.
        masks: (M, T, H, W) bool, the pixels of each actor, in all frames.
        intervals: M half-open intervals of frames in which the actors act.
    """

    frames: NDArray[np.uint8]
    label: int
    masks: NDArray[np.bool_]
    intervals: tuple[tuple[int, int], ...]

    def __repr__(self) -> str:
        return f"MotionClip({LABELS[self.label]!r}, frames={self.frames.shape}, intervals={self.intervals})"

    @property
    def acting(self) -> NDArray[np.bool_]:
        """(M, T), the frames in which each actor acts."""
        moments = np.arange(len(self.frames))
        return np.stack([(moments >= start) & (moments < end) for start, end in self.intervals])

    @property
    def instances(self) -> NDArray[np.bool_]:
        """(M, T, H, W), each actor while it acts: where and when the answer lies."""
        return self.masks & self.acting[:, :, None, None]

    def reversed(self) -> MotionClip:
        """The clip with time reversed, which is of the other class of its pair."""
        count = len(self.frames)
        intervals = tuple((count - end, count - start) for start, end in self.intervals)
        return MotionClip(self.frames[::-1].copy(), reverse_of(self.label), self.masks[:, ::-1].copy(), intervals)


@dataclass(frozen=True, slots=True, eq=False)
class MotionScene:
    """What a clip is painted from; distractors are behind the actors.

    Attributes:
        background: behind everything.
        distractors: things that move irrelevantly.
        actors: things that act.
        intervals: of the actors.
        shake: (T, 2) by which the camera moves everything in each frame, (y, x) in pixels.
        noise: (T, H, W, 3) of the sensor, in pixel values.
    """

    background: tuple[TextureLayer, ...]
    distractors: tuple[Thing, ...]
    actors: tuple[Thing, ...]
    intervals: tuple[tuple[int, int], ...]
    shake: Values
    noise: Values


def make_clip(seed: int, label: int, *, actors: int = 1) -> MotionClip:
    """A clip by its seed, class and number of actors; the same arguments give the same clip.

    Args:
        seed: >= 0. The two classes of a pair give, from one seed, one clip and its reverse.
        label: index in `LABELS`.
        actors: 1, 2 or 3, all of the class.

    Raises:
        InputError: a seed below 0, no such class, or another number of actors.
    """
    if seed < 0 or not 0 <= label < len(LABELS) or not 1 <= actors <= MOST_ACTORS:
        raise InputError(
            f"a clip was asked for with {seed = }, {label = }, {actors = }; expected a seed >= 0, a label below "
            f"{len(LABELS)} and 1 to {MOST_ACTORS} actors"
        )
    pair, is_reversed = divmod(label, 2)
    scene = draw_scene(Draws(seed, pair, actors), pair, actors)
    frames, masks = paint(scene)
    clip = MotionClip(frames, 2 * pair, masks, scene.intervals)
    return clip.reversed() if is_reversed else clip


def draw_scene(draws: Draws, pair: int, actors: int) -> MotionScene:
    """A scene of the first class of a pair."""
    background = draw_background(draws)
    acted = [acting_path(draws, pair, home) for home in _homes(draws, actors)]
    around = [(draws.uniform(8.0, SIZE[0] - 8.0), draws.uniform(8.0, SIZE[1] - 8.0)) for _ in range(DISTRACTORS[1])]
    distracted = [distracting_path(draws, home) for home in around[: draws.whole(*DISTRACTORS)]]
    return MotionScene(
        background,
        distractors=tuple(draw_thing(draws, path) for path in distracted),
        actors=tuple(draw_thing(draws, path) for path, _ in acted),
        intervals=tuple(interval for _, interval in acted),
        shake=draws.uniforms(-SHAKE_PX, SHAKE_PX, FRAMES, 2),
        noise=draws.uniforms(-NOISE, NOISE, FRAMES, *SIZE, 3),
    )


def _homes(draws: Draws, count: int) -> list[tuple[float, float]]:
    """Places far enough from each other, (y, x)."""
    while True:
        homes = [
            (draws.uniform(MARGIN_PX, SIZE[0] - MARGIN_PX), draws.uniform(MARGIN_PX, SIZE[1] - MARGIN_PX))
            for _ in range(count)
        ]
        pairs = [(a, b) for index, a in enumerate(homes) for b in homes[:index]]
        if all((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 >= APART_PX**2 for a, b in pairs):
            return homes


def paint(scene: MotionScene) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Frames (T, H, W, 3) and the actors' masks (M, T, H, W): half or more of such a pixel is the actor."""
    shown = show(scene.background, SIZE, scene.shake)
    masks: list[NDArray[np.bool_]] = []
    for thing in (*scene.distractors, *scene.actors):
        share, front = cover(thing, SIZE, scene.shake)
        colour = front[..., None] * np.array(thing.front) + (1.0 - front[..., None]) * np.array(thing.back)
        shown += share[..., None] * (colour - shown)
        masks = [mask & (share < 0.5) for mask in masks]
        masks.append(share >= 0.5)
    frames = np.clip(np.round(shown + scene.noise), 0.0, 255.0).astype(np.uint8)
    return frames, np.array(masks[len(scene.distractors) :], np.bool_).reshape(-1, *frames.shape[:3])
