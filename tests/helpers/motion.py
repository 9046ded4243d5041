"""Clips of the motion set as tensors, for the tests of what is trained on it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from vidcam.models.specs import TINY_R3D_SPEC
from vidcam.pipelines.study.motion_set import mixed
from vidcam.preprocess import scale_pixels

UNSEEN_SEED = 900_000
"""Neither trained nor measured on by the scripts."""


@cache
def clips_and_labels(count: int) -> tuple[Tensor, Tensor]:
    """Frames (n, T, H, W, 3) uint8 of all classes, with one to three actors, and the classes; read only."""
    clips = [request.clip() for request in mixed(count, first_seed=UNSEEN_SEED)]
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    return frames, torch.tensor([clip.label for clip in clips])


def tiny_input(frames: Tensor) -> Tensor:
    """As the tiny models take them, (n, 3, T, H, W)."""
    return scale_pixels(frames.permute(0, 4, 1, 2, 3).float(), TINY_R3D_SPEC.scaling)
