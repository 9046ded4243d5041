"""The grating set: its truth, computed a second time from the pixels."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from vidcam.errors import InputError
from vidcam.motion import gratings
from vidcam.motion.gratings import GRATING_LABELS, PATCHES, RADIUS_PX, GratingClip, make_grating_clip

GOLDEN = ["356288ddc1d8c791", "f79dabff41b6ec8c"]
"""Digests of (seed 0, label 0) and (seed 7, labels 1 and 2)."""

SHIFTS = {"right": (2, 2), "left": (-2, 2), "down": (2, 1), "up": (-2, 1)}
"""Pixels and axis of about one frame's drift."""


def digest(clip: GratingClip) -> str:
    content = clip.frames.tobytes() + np.packbits(clip.masks).tobytes() + repr((clip.labels, clip.intervals)).encode()
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.fixture
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames differ only where gratings drift."""
    monkeypatch.setattr(gratings, "NOISE", 0.0)


def test_the_same_arguments_give_the_same_clip_on_any_machine() -> None:
    assert [digest(make_grating_clip(0, [0])), digest(make_grating_clip(7, [1, 2]))] == GOLDEN


@pytest.mark.usefixtures("no_noise")
@pytest.mark.parametrize("seed", range(6))
def test_the_truth_is_where_and_when_the_pixels_change(seed: int) -> None:
    clip = make_grating_clip(seed, [seed % 4, (seed + 1) % 4][: 1 + seed % 2])
    changed = (np.diff(clip.frames.astype(int), axis=0) != 0).any(axis=-1)
    instances = clip.instances
    both = instances[:, 1:] & instances[:, :-1]  # a change lies between two frames
    assert not changed[~both.any(axis=0)].any()
    for target in both:
        assert changed[target].mean() > 0.97
    areas = clip.masks.sum(axis=(2, 3))
    assert (abs(areas - np.pi * RADIUS_PX**2) < 0.05 * np.pi * RADIUS_PX**2).all()


@pytest.mark.usefixtures("no_noise")
@pytest.mark.parametrize("label", range(4))
def test_a_target_drifts_in_its_direction(label: int) -> None:
    shift, axis = SHIFTS[GRATING_LABELS[label]]
    for seed in range(5):
        clip = make_grating_clip(seed, [label])
        (start, end), frames = clip.intervals[0], clip.frames.astype(float)
        after, before = frames[start + 1 : end], frames[start : end - 1]
        inside = (
            clip.masks[0, 0] & np.roll(clip.masks[0, 0], (3, -3), (0, 1)) & np.roll(clip.masks[0, 0], (-3, 3), (0, 1))
        )
        errors = [np.abs(np.roll(before, sign * shift, axis) - after)[:, inside].mean() for sign in (1, -1)]
        assert errors[0] < 0.5 * errors[1]


def test_a_frame_shows_four_patches_alike() -> None:
    """The contrast of a target's patch is that of the others, over many clips."""
    clips = [make_grating_clip(seed, [seed % 4]) for seed in range(60)]
    four = [make_grating_clip(seed, [seed % 4] * PATCHES) for seed in range(60)]
    contrast = [
        np.mean([clip.frames[0][clip.masks[0, 0]].std(axis=0).mean() for clip in part]) for part in (clips, four)
    ]
    assert contrast[0] == pytest.approx(contrast[1], rel=0.1)
    assert all(not (clip.masks.sum(axis=0) > 1).any() for clip in four)


@pytest.mark.parametrize(("seed", "labels"), [(-1, [0]), (0, [4]), (0, [-1]), (0, []), (0, [0] * 5)])
def test_invalid_arguments(seed: int, labels: list[int]) -> None:
    with pytest.raises(InputError, match=rf"1 to 4 labels from 0 to 3, got seed = {seed}, labels = \["):
        make_grating_clip(seed, labels)
