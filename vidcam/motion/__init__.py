"""Synthetic clips with exact ground truth (what moves, where, when, how). See docs/motion.md.

LABELS               eight motions in four pairs; the second of a pair is the first with time reversed
make_clip            one clip by seed and label: frames, masks of the actors, intervals of the action
GRATING_LABELS       the four classes of the grating set, directions of drift
make_grating_clip    one clip of gratings by seed and labels; its targets may be of different classes
benchmark            how well the maps of any method match the truth, on the two networks of the motion set
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from vidcam.motion.clip import MotionClip, make_clip
from vidcam.motion.gratings import GRATING_LABELS, GratingClip, make_grating_clip
from vidcam.motion.paths import LABELS

if TYPE_CHECKING:
    from vidcam.pipelines.study.benchmark import MotionBenchmark, benchmark

__all__ = [
    "GRATING_LABELS",
    "LABELS",
    "GratingClip",
    "MotionBenchmark",
    "MotionClip",
    "benchmark",
    "make_clip",
    "make_grating_clip",
]


def __getattr__(name: str) -> object:
    """Import the benchmark when it is first used: it needs torch and the networks, the clips do not."""
    if name not in {"MotionBenchmark", "benchmark"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("vidcam.pipelines.study.benchmark"), name)
