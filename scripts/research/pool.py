"""Clips of the motion set in memory, and the ways in which one clip stands for many.

A motion seen in a mirror, on its side, or backwards is another motion of the set, or the same: the labels follow.
Colours say nothing, so they may change places and be inverted. One clip is 16 · 12 clips in this way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidcam.models.specs import TINY_R3D_SPEC
from vidcam.motion.clip import SIZE
from vidcam.motion.paths import FRAMES
from vidcam.pipelines.study.motion_set import mixed
from vidcam.preprocess import scale_pixels

HELD_OUT_SEED, TRAINING_SEED = 0, 1_000_000
"""From which on clips are for measuring, and for training."""

BACKWARDS = (1, 0, 3, 2, 5, 4, 7, 6)
LEFT_FOR_RIGHT = (1, 0, 3, 2, 5, 4, 6, 7)
UP_FOR_DOWN = (1, 0, 3, 2, 4, 5, 7, 6)
ROWS_FOR_COLUMNS = (1, 0, 3, 2, 6, 7, 4, 5)
"""The class of a clip after each change, by its class before."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Clips: frames (n, T, H, W, 3) uint8, labels (n,) int64 and number of actors (n,) int64."""

    frames: Tensor
    labels: Tensor
    actors: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def make_pool(first_seed: int, count: int) -> Pool:
    """Clips by consecutive seeds, one, two and three acting."""
    frames = np.empty((count, FRAMES, *SIZE, 3), np.uint8)
    labels, actors = (np.empty(count, np.int64) for _ in range(2))
    for number, request in enumerate(mixed(count, first_seed=first_seed)):
        actors[number], labels[number] = request.actors, request.label
        frames[number] = request.clip().frames
    return Pool(torch.from_numpy(frames), torch.from_numpy(labels), torch.from_numpy(actors))


def to_input(frames: Tensor) -> Tensor:
    """Frames (n, T, H, W, 3) uint8 as the models take them, (n, 3, T, H, W) float32."""
    return scale_pixels(frames.permute(0, 4, 1, 2, 3).float(), TINY_R3D_SPEC.scaling)


def varied(frames: Tensor, label: int, generator: torch.Generator) -> tuple[Tensor, int]:
    """A clip (T, H, W, 3) seen otherwise, and its class then."""
    flips = torch.rand(5, generator=generator) < 0.5
    for is_flipped, axis, classes in zip(flips, (0, 2, 1), (BACKWARDS, LEFT_FOR_RIGHT, UP_FOR_DOWN), strict=False):
        if is_flipped:
            frames, label = frames.flip(axis), classes[label]
    if flips[3]:
        frames, label = frames.transpose(1, 2), ROWS_FOR_COLUMNS[label]
    if flips[4]:
        frames = 255 - frames
    return frames[..., torch.randperm(3, generator=generator)], label
