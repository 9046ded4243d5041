"""The ground truth of a clip, computed a second time in other ways."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.motion.clip import DISTRACTORS, SIZE, MotionClip, MotionScene, draw_scene, make_clip, render_scene
from vidcam.motion.draws import Draws
from vidcam.motion.objects import MovingObject
from vidcam.motion.paths import FRAMES, LABELS

PAIRS = range(4)

GOLDEN = ["8baf29827af8eb6e", "3c640403aaa93fc2"]
"""Digests of (seed 0, label 0, one actor) and (seed 7, label 5, three actors)."""


def digest(clip: MotionClip) -> str:
    content = clip.frames.tobytes() + np.packbits(clip.masks).tobytes() + repr((clip.label, clip.intervals)).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def without_actor(scene: MotionScene, actor: int) -> MotionScene:
    """Return the scene without one of its actors."""
    return replace(
        scene, actors=tuple(actor_object for index, actor_object in enumerate(scene.actors) if index != actor)
    )


def without_noise(scene: MotionScene) -> MotionScene:
    """Return the scene without noise, so that frames differ only where objects do."""
    return replace(scene, noise=np.zeros_like(scene.noise))


def painted_green(moving: MovingObject) -> MovingObject:
    return replace(moving, front=(0.0, 255.0, 0.0), back=(0.0, 255.0, 0.0))


def test_the_same_arguments_give_the_same_clip_on_any_machine() -> None:
    digests = [digest(make_clip(seed, label, actors=actors)) for seed, label, actors in ((0, 0, 1), (7, 5, 3))]
    assert digests == GOLDEN
    assert digest(make_clip(1, 0)) != digests[0]


@pytest.mark.parametrize("label", range(8))
def test_shapes_and_intervals(label: int) -> None:
    clip = make_clip(label, label, actors=1 + label % 3)
    assert clip.frames.shape == (FRAMES, *SIZE, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.masks.shape == (1 + label % 3, FRAMES, *SIZE)
    assert repr(clip).startswith(f"MotionClip({LABELS[label]!r}, frames=(16, 64, 64, 3), intervals=((")
    for (start, end), acting in zip(clip.intervals, clip.acting, strict=True):
        assert 0 <= start < end <= FRAMES
        assert np.flatnonzero(acting).tolist() == list(range(start, end))
    assert np.array_equal(clip.instances.any(axis=(2, 3)), clip.acting)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_second_class_of_a_pair_is_the_first_reversed(pair: int) -> None:
    first, second = (make_clip(11, 2 * pair + which, actors=2) for which in (0, 1))
    assert (first.label, second.label) == (2 * pair, 2 * pair + 1)
    np.testing.assert_array_equal(second.frames, first.frames[::-1])
    np.testing.assert_array_equal(second.masks, first.masks[:, ::-1])
    np.testing.assert_array_equal(second.acting, first.acting[:, ::-1])
    assert digest(second.reversed()) == digest(first)


@pytest.mark.parametrize("pair", PAIRS)
def test_masks_are_the_pixels_that_change_without_the_actor(pair: int) -> None:
    scene = without_noise(draw_scene(Draws(3, pair, 2), pair, 2))
    frames, masks = render_scene(scene)
    for actor in range(2):
        changed = (frames != render_scene(without_actor(scene, actor))[0]).any(axis=-1)
        assert changed[masks[actor]].mean() > 0.99  # a pixel may by chance have the background's colour
        assert not changed[~grown(masks[actor])].any()


@pytest.mark.parametrize("pair", PAIRS)
def test_masks_are_where_a_green_actor_covers_half_a_pixel(pair: int) -> None:
    """Paint the actor in full green; its share of each pixel follows from the green that it adds."""
    scene = without_noise(draw_scene(Draws(4, pair, 1), pair, 1))
    without = render_scene(without_actor(scene, 0))[0][..., 1].astype(np.float64)
    frames, masks = render_scene(replace(scene, actors=tuple(map(painted_green, scene.actors))))
    share = (frames[..., 1] - without) / (255.0 - without)
    clear = np.abs(share - 0.5) > 0.02
    np.testing.assert_array_equal((share > 0.5)[clear], masks[0][clear])
    assert clear.mean() > 0.99


def test_actors_stay_inside_the_frame_and_apart() -> None:
    for seed in range(12):
        clip = make_clip(seed, seed % 8, actors=3)
        assert not (clip.masks.sum(axis=0) > 1).any()
        edge = np.ones(SIZE, np.bool_)
        edge[1:-1, 1:-1] = False
        assert not clip.masks[..., edge].any()
        assert clip.masks.any(axis=(2, 3)).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_an_actor_moves_only_in_its_interval(pair: int) -> None:
    scene = draw_scene(Draws(5, pair, 1), pair, 1)
    (start, end), path = scene.intervals[0], scene.actors[0].path
    poses = np.stack([path.y_px, path.x_px, np.sin(path.angle), np.cos(path.angle), path.scale])
    at_rest = [frame for frame in range(FRAMES) if not start <= frame < end]
    np.testing.assert_allclose(poses[:, at_rest], poses[:, at_rest[:1]].repeat(len(at_rest), axis=1), atol=1e-12)
    moved = np.abs(poses - poses[:, at_rest[:1]]).max(axis=0)
    assert (moved[start:end] > 1e-3).all()


def test_invalid_arguments() -> None:
    for seed, label, actors in ((-1, 0, 1), (0, 8, 1), (0, -1, 1), (0, 0, 4), (0, 0, 0)):
        with pytest.raises(InputError, match=f"got seed = {seed}, label = {label}, actors = {actors}"):
            make_clip(seed, label, actors=actors)


def test_backgrounds_and_distractors_have_no_preferred_direction() -> None:
    """Over many scenes, only the actors' movement has a direction."""
    scenes = [draw_scene(Draws(seed, seed % 4, 1), seed % 4, 1) for seed in range(400)]
    speeds = np.array([layer.speed_px for scene in scenes for layer in scene.background])
    np.testing.assert_allclose(speeds.mean(axis=0), 0.0, atol=0.1)
    paths = [distractor.path for scene in scenes for distractor in scene.distractors]
    assert DISTRACTORS[0] * 400 < len(paths) < DISTRACTORS[1] * 400
    for name in ("y_px", "x_px", "angle", "scale"):
        steps = np.array([np.diff(getattr(path, name)) for path in paths])
        assert abs(steps.mean()) < 0.03 * steps.std() + 0.01, name


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask grown by two pixels, because edges are soft."""
    padded = np.pad(mask, ((0, 0), (2, 2), (2, 2)))
    height, width = mask.shape[1:]
    beside = [padded[:, y : y + height, x : x + width] for y in range(5) for x in range(5)]
    return np.asarray(np.any(beside, axis=0))
