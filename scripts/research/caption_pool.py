"""Clips of the caption set in memory, their captions as words of the network, and their augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vidcam.motion.captions import VOCABULARY, CaptionedClip, Thing, caption_of, make_captioned_clip
from vidcam.motion.clip import SIZE
from vidcam.motion.paths import FRAMES

BACKWARDS = {"rises": "falls", "falls": "rises", "grows": "shrinks", "shrinks": "grows"}
UPSIDE_DOWN = {"rises": "falls", "falls": "rises", "top": "bottom", "bottom": "top"}
MIRRORED = {"left": "right", "right": "left"}
RED_FOR_GREEN = {"red": "green", "green": "red"}
"""What each change of a clip makes of the words."""


@dataclass(frozen=True, slots=True, eq=False)
class CaptionPool:
    """Clips: frames (n, T, H, W, 3) uint8, and the two things in each."""

    frames: Tensor
    things: tuple[tuple[Thing, Thing], ...]

    def __len__(self) -> int:
        return len(self.things)


def make_pool(first_seed: int, count: int) -> CaptionPool:
    """Make clips of consecutive seeds."""
    frames, things = np.empty((count, FRAMES, *SIZE, 3), np.uint8), []
    for number in range(count):
        clip: CaptionedClip = make_captioned_clip(first_seed + number)
        frames[number] = clip.frames
        things.append(clip.things)
    return CaptionPool(torch.from_numpy(frames), tuple(things))


def augmented(
    frames: Tensor, things: tuple[Thing, Thing], generator: torch.Generator
) -> tuple[Tensor, tuple[Thing, Thing]]:
    """Reverse, turn upside down, mirror and swap red with green, each by chance; a clip (T, H, W, 3) and its things."""
    flips = torch.rand(4, generator=generator) < 0.5
    for is_flipped, axis, words in zip(flips, (0, 1, 2), (BACKWARDS, UPSIDE_DOWN, MIRRORED), strict=False):
        if is_flipped:
            frames, things = frames.flip(axis), changed(things, words)
    if flips[3]:
        frames, things = frames[..., [1, 0, 2]], changed(things, RED_FOR_GREEN)
    return frames, things


def changed(things: tuple[Thing, Thing], words: Mapping[str, str]) -> tuple[Thing, Thing]:
    """Replace words; the left or upper thing stays the first."""
    first, second = (
        replace(
            thing,
            colour=words.get(thing.colour, thing.colour),
            motion=words.get(thing.motion, thing.motion),
            place=words.get(thing.place, thing.place),
        )
        for thing in things
    )
    return (second, first) if first.place in ("right", "bottom") else (first, second)


def tokens_of(things: Sequence[Sequence[Thing]]) -> Tensor:
    """The captions as indices of words, (n, L), the last one <end>; all have the same length."""
    captions = [f"{caption_of(pair)} <end>".split() for pair in things]
    return torch.tensor([[VOCABULARY.index(word) for word in caption] for caption in captions])
