"""A clip of the motion set: its frames and its ground truth.

A clip of the second class of a pair is a clip of the first class, reversed: frames and ground truth. So a model that
ignores the order of the frames (a single frame, a shuffled clip, the background) cannot tell the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.motion.background import TextureLayer, draw_background, render_background
from vidcam.motion.draws import Draws
from vidcam.motion.objects import MovingObject, draw_object, object_shares
from vidcam.motion.paths import FRAMES, LABELS, Values, acting_frames, action_path, distractor_path, reversed_label

SIZE = (64, 64)
"""(H, W) of the frames. Models take them without resizing."""

MAX_ACTORS = 3
MARGIN_PX = 17.0
"""Smallest distance of an actor's centre from the frame's edge. The actor stays inside the frame as it moves."""

APART_PX = 24.0
"""Smallest distance between the centres of two actors. They hardly ever touch."""

DISTRACTORS = (1, 2)
SHAKE_PX = 0.8
NOISE = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class MotionClip:
    """Frames and their ground truth.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        label: index of the class in `LABELS`.
        masks: (M, T, H, W) bool, the pixels of each actor, in all frames.
        intervals: M half-open intervals of frames, one action per actor.
    """

    frames: NDArray[np.uint8]
    label: int
    masks: NDArray[np.bool_]
    intervals: tuple[tuple[int, int], ...]

    def __repr__(self) -> str:
        return f"MotionClip({LABELS[self.label]!r}, frames={self.frames.shape}, intervals={self.intervals})"

    @property
    def acting(self) -> NDArray[np.bool_]:
        """(M, T) bool, the frames of each actor's action."""
        return acting_frames(self.intervals, len(self.frames))

    @property
    def instances(self) -> NDArray[np.bool_]:
        """(M, T, H, W) bool, each actor during its action: the evidence for the class in space and time."""
        return self.masks & self.acting[:, :, None, None]

    def reversed(self) -> MotionClip:
        """Return the clip with time reversed; it belongs to the other class of the pair."""
        count = len(self.frames)
        intervals = tuple((count - end, count - start) for start, end in self.intervals)
        return MotionClip(self.frames[::-1].copy(), reversed_label(self.label), self.masks[:, ::-1].copy(), intervals)


@dataclass(frozen=True, slots=True, eq=False)
class MotionScene:
    """The parts of a clip, before rendering. Distractors are behind the actors.

    Attributes:
        background: layers behind everything.
        distractors: objects whose movement is irrelevant.
        actors: objects that perform the action.
        intervals: half-open intervals of the actors' actions.
        shake: (T, 2) camera shift of each frame, (y, x) in pixels.
        noise: (T, H, W, 3) sensor noise, in pixel values.
    """

    background: tuple[TextureLayer, ...]
    distractors: tuple[MovingObject, ...]
    actors: tuple[MovingObject, ...]
    intervals: tuple[tuple[int, int], ...]
    shake: Values
    noise: Values


def make_clip(seed: int, label: int, *, actors: int = 1) -> MotionClip:
    """Make a clip of a seed, a class and a number of actors; equal arguments give equal clips.

    Args:
        seed: >= 0. From one seed, the two classes of a pair give a clip and its reverse.
        label: index in `LABELS`.
        actors: 1, 2 or 3, all of the same class.

    Raises:
        InputError: a negative seed, an unknown class, or another number of actors.
    """
    if seed < 0 or not 0 <= label < len(LABELS) or not 1 <= actors <= MAX_ACTORS:
        raise InputError(
            f"expected seed >= 0, 0 <= label < {len(LABELS)} and 1 <= actors <= {MAX_ACTORS}, got {seed = }, "
            f"{label = }, {actors = }"
        )
    pair, is_reversed = divmod(label, 2)
    scene = draw_scene(Draws(seed, pair, actors), pair, actors)
    frames, masks = render_scene(scene)
    clip = MotionClip(frames, 2 * pair, masks, scene.intervals)
    return clip.reversed() if is_reversed else clip


def draw_scene(draws: Draws, pair: int, actors: int) -> MotionScene:
    """Draw a random scene of the first class of a pair."""
    background = draw_background(draws)
    actor_centres = centres_apart(draws, actors, margin_px=MARGIN_PX, apart_px=APART_PX)
    actions = [action_path(draws, pair, centre) for centre in actor_centres]
    centres = [(draws.uniform(8.0, SIZE[0] - 8.0), draws.uniform(8.0, SIZE[1] - 8.0)) for _ in range(DISTRACTORS[1])]
    distractions = [distractor_path(draws, centre) for centre in centres[: draws.integer(*DISTRACTORS)]]
    return MotionScene(
        background,
        distractors=tuple(draw_object(draws, path) for path in distractions),
        actors=tuple(draw_object(draws, path) for path, _ in actions),
        intervals=tuple(interval for _, interval in actions),
        shake=draws.uniforms(-SHAKE_PX, SHAKE_PX, FRAMES, 2),
        noise=draws.uniforms(-NOISE, NOISE, FRAMES, *SIZE, 3),
    )


def centres_apart(draws: Draws, count: int, *, margin_px: float, apart_px: float) -> list[tuple[float, float]]:
    """Draw centres (y, x) until they are far enough from each other, all of them away from the frame's edge."""
    while True:
        centres = [
            (draws.uniform(margin_px, SIZE[0] - margin_px), draws.uniform(margin_px, SIZE[1] - margin_px))
            for _ in range(count)
        ]
        pairs = [(a, b) for index, a in enumerate(centres) for b in centres[:index]]
        if all((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 >= apart_px**2 for a, b in pairs):
            return centres


def render_scene(scene: MotionScene) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Render frames (T, H, W, 3) and the actors' masks (M, T, H, W): pixels that the actor covers by half or more."""
    pixels = render_background(scene.background, SIZE, scene.shake)
    masks: list[NDArray[np.bool_]] = []
    for moving in (*scene.distractors, *scene.actors):
        share, front = object_shares(moving, SIZE, scene.shake)
        colour = front[..., None] * np.array(moving.front) + (1.0 - front[..., None]) * np.array(moving.back)
        pixels += share[..., None] * (colour - pixels)
        masks = [mask & (share < 0.5) for mask in masks]
        masks.append(share >= 0.5)
    frames = np.clip(np.round(pixels + scene.noise), 0.0, 255.0).astype(np.uint8)
    return frames, np.array(masks[len(scene.distractors) :], np.bool_).reshape(-1, *frames.shape[:3])
