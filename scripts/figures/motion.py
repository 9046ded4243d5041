"""Figures of docs/motion.md: one clip of each motion, and maps of three actors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from scripts.figures.sheets import overlaid, square, table
from scripts.research.motion_maps import explain_clips
from vidcam.media import Frames
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.registry import load_model
from vidcam.motion import LABELS, make_clip
from vidcam.motion.box_tracks import filled_boxes

SEED = 3
"""Seed of the clips of the first figure."""

SEVERAL = (500_026, 2)
"""Seed and class of the clip of the second figure."""

MAPS = ("gradcam", "gradcam+", "gradcam++", "hirescam", "answer")
SIDE, GUTTER = 96, 170


def draw_motion(out: Path) -> None:
    """Write motion.jpg and motion-maps.jpg."""
    clips = {name: make_clip(SEED, index) for index, name in enumerate(LABELS)}
    motions = {name: outlined(clip.frames, filled_boxes(clip)) for name, clip in clips.items()}
    table(motions, GUTTER, out / "motion.jpg")
    clip = make_clip(*SEVERAL, actors=3)
    rows = {"source": outlined(clip.frames, filled_boxes(clip))}
    for spec in TINY_SPECS:
        (entry,) = explain_clips(load_model(spec.name, device="cpu"), [clip])
        for name in MAPS:
            pairs = zip(clip.frames, entry.heats[name], strict=True)
            frames = np.stack([overlaid(frame, heat) for frame, heat in pairs])
            rows[name if name == "answer" else f"{spec.name} {name}"] = outlined(frames, entry.instances)
    rows["answer"] = rows.pop("answer")
    table(rows, GUTTER, out / "motion-maps.jpg")


def outlined(frames: Frames, regions: NDArray[np.bool_]) -> dict[str, Frames]:
    """Every second frame, with an outline around each actor (M, T, H, W) while it acts."""
    drawn = frames.copy()
    for region in regions:
        drawn[binary_dilation(region, np.ones((1, 3, 3))) & ~region] = 255
    return {f"frame {slot}": square(drawn[slot], SIDE) for slot in range(0, len(drawn), 2)}
