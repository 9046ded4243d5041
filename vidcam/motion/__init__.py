"""Synthetic clips and images with exact ground truth. See docs/motion.md and docs/images.md.

LABELS               eight motions in four pairs; the second of a pair is the first with time reversed
make_clip            one clip by seed and label: frames, masks of the actors, intervals of the action
GRATING_LABELS       the four classes of the grating set, directions of drift
make_grating_clip    one clip of gratings by seed and labels; its targets may be of different classes
SHAPE_LABELS         the eight classes of the shape set, a set of images
make_shape_image     one image by seed and labels, with one to four shapes
benchmark            how well the maps of any method match the truth, on the two networks of the motion set
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from vidcam.motion.clip import MotionClip, make_clip
from vidcam.motion.gratings import GRATING_LABELS, GratingClip, make_grating_clip
from vidcam.motion.paths import LABELS
from vidcam.motion.shapes import SHAPE_LABELS, ShapeImage, make_shape_image

if TYPE_CHECKING:
    from vidcam.pipelines.study.benchmark import MotionBenchmark, benchmark

__all__ = [
    "GRATING_LABELS",
    "LABELS",
    "SHAPE_LABELS",
    "GratingClip",
    "MotionBenchmark",
    "MotionClip",
    "ShapeImage",
    "benchmark",
    "make_clip",
    "make_grating_clip",
    "make_shape_image",
]


def __getattr__(name: str) -> object:
    """Import the benchmark when it is first used: it needs torch and the networks, the clips do not."""
    if name not in {"MotionBenchmark", "benchmark"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("vidcam.pipelines.study.benchmark"), name)
