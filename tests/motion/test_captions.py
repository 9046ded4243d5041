"""Clips of the caption set: captions, masks, and what a motion does to a thing."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import InputError
from vidcam.motion.captions import (
    COLOUR_RANGE,
    COLOURS,
    VOCABULARY,
    CaptionedClip,
    Thing,
    caption_of,
    make_captioned_clip,
)
from vidcam.motion.clip import NOISE


@pytest.fixture(scope="module")
def clips() -> list[CaptionedClip]:
    """Some clips."""
    return [make_captioned_clip(seed) for seed in range(24)]


def test_a_caption_names_both_things() -> None:
    things = Thing("red", "bar", "rises", "left"), Thing("blue", "disc", "grows", "right")
    caption = caption_of(things)
    assert caption == "a red bar rises on the left and a blue disc grows on the right"
    assert set(caption.split()) < set(VOCABULARY)


def test_equal_seeds_give_equal_clips(clips: list[CaptionedClip]) -> None:
    again = make_captioned_clip(5)
    assert again.caption == clips[5].caption
    assert np.array_equal(again.frames, clips[5].frames)
    with pytest.raises(InputError, match="seed"):
        make_captioned_clip(-1)


def test_two_things_differ_and_are_where_the_caption_says(clips: list[CaptionedClip]) -> None:
    for clip in clips:
        first, second = clip.things
        assert len({first.colour, second.colour}) == len({first.shape, second.shape}) == 2
        assert len({first.motion, second.motion}) == 2
        axis = 2 if first.place in ("left", "right") else 1
        places = [np.argwhere(mask)[:, axis].mean() for mask in clip.masks]
        assert places[0] < 32 < places[1]
        assert (first.place, second.place) in (("left", "right"), ("top", "bottom"))


def test_pixels_have_the_colour_that_is_named(clips: list[CaptionedClip]) -> None:
    for clip in clips:
        for thing, mask in zip(clip.things, clip.masks, strict=True):
            mean = np.median(clip.frames[mask], axis=0)
            assert np.abs(mean - COLOURS[thing.colour]).max() <= COLOUR_RANGE + NOISE


def test_things_move_as_the_caption_says(clips: list[CaptionedClip]) -> None:
    seen = set()
    for clip in clips:
        for thing, mask in zip(clip.things, clip.masks, strict=True):
            seen.add(thing.motion)
            (y0, x0), (y1, x1) = (np.argwhere(mask[frame]).mean(axis=0) for frame in (0, -1))
            growth = mask[-1].sum() / mask[0].sum()
            moves = {"rises": y1 - y0 < -8, "falls": y1 - y0 > 8}
            expected = {**moves, "grows": growth > 2, "shrinks": growth < 0.5}
            assert [motion for motion, is_true in expected.items() if is_true] == [thing.motion]
            assert abs(x1 - x0) < 3
    assert len(seen) == 4
