"""Clips of the motion set in memory, and their augmentation.

A mirrored, transposed or reversed motion is a motion of the set, so the label changes with the clip. Colours carry no
information, so channels may be permuted and inverted. This makes 16 · 12 clips of one.
"""

from __future__ import annotations

from collections.abc import Sequence
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
"""First seeds of the clips for measuring and for training."""

BACKWARDS = (1, 0, 3, 2, 5, 4, 7, 6)
LEFT_FOR_RIGHT = (1, 0, 3, 2, 5, 4, 6, 7)
UP_FOR_DOWN = (1, 0, 3, 2, 4, 5, 7, 6)
ROWS_FOR_COLUMNS = (1, 0, 3, 2, 6, 7, 4, 5)
"""The class after each change, by the class before."""

CHANGES = (BACKWARDS, LEFT_FOR_RIGHT, UP_FOR_DOWN, ROWS_FOR_COLUMNS)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Clips: frames (n, T, H, W, 3) uint8, labels (n,) int64 and numbers of actors (n,) int64."""

    frames: Tensor
    labels: Tensor
    actors: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def make_pool(first_seed: int, count: int) -> Pool:
    """Make clips of consecutive seeds, with one, two and three actors."""
    frames = np.empty((count, FRAMES, *SIZE, 3), np.uint8)
    labels, actors = (np.empty(count, np.int64) for _ in range(2))
    for number, request in enumerate(mixed(count, first_seed=first_seed)):
        actors[number], labels[number] = request.actors, request.label
        frames[number] = request.clip().frames
    return Pool(torch.from_numpy(frames), torch.from_numpy(labels), torch.from_numpy(actors))


def to_input(frames: Tensor) -> Tensor:
    """Convert frames (n, T, H, W, 3) uint8 to model input (n, 3, T, H, W) float32."""
    return scale_pixels(frames.permute(0, 4, 1, 2, 3).float(), TINY_R3D_SPEC.scaling)


def augmented(
    frames: Tensor, label: int, generator: torch.Generator, changes: Sequence[Sequence[int]] = CHANGES
) -> tuple[Tensor, int]:
    """Augment a clip (T, H, W, 3); return it with its new class.

    Args:
        frames: the clip.
        label: its class.
        generator: source of the random choices; its state advances.
        changes: the class after a reversal, after both mirrorings and after a transposition, by the class before.
    """
    flips = torch.rand(5, generator=generator) < 0.5
    for is_flipped, axis, classes in zip(flips, (0, 2, 1), changes, strict=False):
        if is_flipped:
            frames, label = frames.flip(axis), classes[label]
    if flips[3]:
        frames, label = frames.transpose(1, 2), changes[3][label]
    if flips[4]:
        frames = 255 - frames
    return frames[..., torch.randperm(3, generator=generator)], label
