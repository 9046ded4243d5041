"""Clips of the motion set for the distillation experiment, made once and kept in a folder.

The student trains on the first of the clips that the teacher was trained on, as in GC++ section 5. It is tested on the
clips that the shipped networks are measured on. Its maps are compared with the truth on clips of the motion benchmark,
which have one actor each.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED, Pool, make_pool
from vidcam.motion.box_tracks import filled_boxes
from vidcam.pipelines.study.benchmark import FIRST_SEED
from vidcam.pipelines.study.motion_set import mixed

TEST_CLIPS, TRUTH_CLIPS = 1000, 160


def training_pool(folder: Path, count: int) -> Pool:
    """Return the first `count` training clips."""
    return _kept(folder / f"train-{count}.npz", TRAINING_SEED, count)


def held_out_pool(folder: Path) -> Pool:
    """Return the clips that errors are measured on."""
    return _kept(folder / f"test-{TEST_CLIPS}.npz", HELD_OUT_SEED, TEST_CLIPS)


def truth_set(folder: Path) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
    """Return clips of one actor with their truth.

    Returns:
        Frames (n, T, H, W, 3) uint8, labels (n,) and the actor's box while it acts, (n, T, H, W) bool.
    """
    path = folder / f"truth-{TRUTH_CLIPS}.npz"
    if not path.exists():
        clips = [request.clip() for request in mixed(TRUTH_CLIPS, first_seed=FIRST_SEED, actors=1)]
        inside = np.stack([filled_boxes(clip).any(axis=0) for clip in clips])
        labels = np.array([clip.label for clip in clips])
        _save(path, frames=np.stack([clip.frames for clip in clips]), labels=labels, inside=inside)
    with np.load(path) as arrays:
        return torch.from_numpy(arrays["frames"]), torch.from_numpy(arrays["labels"]), arrays["inside"]


def _kept(path: Path, first_seed: int, count: int) -> Pool:
    if not path.exists():
        pool = make_pool(first_seed, count)
        _save(path, **{name: getattr(pool, name).numpy() for name in ("frames", "labels", "actors")})
    with np.load(path) as arrays:
        return Pool(*(torch.from_numpy(arrays[name]) for name in ("frames", "labels", "actors")))


def _save(path: Path, **arrays: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)  # type: ignore[arg-type]
    part.replace(path)
