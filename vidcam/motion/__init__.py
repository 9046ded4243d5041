"""The motion set: synthetic clips with exact ground truth (what moves, where, when, how). See docs/motion.md.

LABELS       eight motions in four pairs; the second of a pair is the first with time reversed
make_clip    one clip by seed and label: frames, masks of the actors, intervals of the action
benchmark    how well the maps of any method match the truth, on the two shipped networks
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from vidcam.motion.clip import MotionClip, make_clip
from vidcam.motion.paths import LABELS

if TYPE_CHECKING:
    from vidcam.pipelines.study.benchmark import MotionBenchmark, benchmark

__all__ = ["LABELS", "MotionBenchmark", "MotionClip", "benchmark", "make_clip"]


def __getattr__(name: str) -> object:
    """Import the benchmark when it is first used: it needs torch and the networks, the clips do not."""
    if name not in {"MotionBenchmark", "benchmark"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("vidcam.pipelines.study.benchmark"), name)
