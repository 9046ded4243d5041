"""The motion set: synthetic clips with exact ground truth (what moves, where, when, how). See docs/motion.md.

LABELS       eight motions in four pairs; the second of a pair is the first with time reversed
make_clip    one clip by seed and label: frames, masks of the actors, intervals of the action
"""

from __future__ import annotations

from vidcam.motion.clip import MotionClip, make_clip
from vidcam.motion.paths import LABELS

__all__ = ["LABELS", "MotionClip", "make_clip"]
