"""Figures of docs/motion.md: one clip of each motion, and what the methods show of three actors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.figures.sheets import overlaid, square, table
from scripts.research.motion_maps import shown
from vidcam.media import Frames
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.registry import load_model
from vidcam.motion import LABELS, make_clip
from vidcam.motion.box_tracks import filled_boxes

SEED = 3
"""Of the clips of the first figure."""

SEVERAL = (500_026, 2)
"""Seed and class of the clip of the second: three actors."""

MAPS = ("gradcam", "gradcam+", "gradcam++", "hirescam", "answer")
SIDE, GUTTER = 96, 170


def draw_motion(out: Path) -> None:
    """Write motion.jpg and motion-maps.jpg."""
    clips = {name: make_clip(SEED, index) for index, name in enumerate(LABELS)}
    motions = {name: _row(clip.frames, filled_boxes(clip)) for name, clip in clips.items()}
    table(motions, GUTTER, out / "motion.jpg")
    clip = make_clip(*SEVERAL, actors=3)
    rows = {"source": _row(clip.frames, filled_boxes(clip))}
    for spec in TINY_SPECS:
        (entry,) = shown(load_model(spec.name, device="cpu"), [clip])
        for name in MAPS:
            pairs = zip(clip.frames, entry.heats[name], strict=True)
            frames = np.stack([overlaid(frame, heat) for frame, heat in pairs])
            rows[name if name == "answer" else f"{spec.name} {name}"] = _row(frames, entry.instances)
    rows["answer"] = rows.pop("answer")
    table(rows, GUTTER, out / "motion-maps.jpg")


def _row(frames: Frames, regions: NDArray[np.bool_]) -> dict[str, Frames]:
    """Every second frame, with a line around each actor (M, T, H, W) while it acts."""
    drawn = frames.copy()
    for region in regions:
        drawn[_edge(region)] = 255
    return {f"frame {slot}": square(drawn[slot], SIDE) for slot in range(0, len(drawn), 2)}


def _edge(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels around boxes (T, H, W)."""
    frames, height, width = region.shape
    padded = np.zeros((frames, height + 2, width + 2), np.bool_)
    for down in range(3):
        for right in range(3):
            padded[:, down : down + height, right : right + width] |= region
    edge: NDArray[np.bool_] = padded[:, 1:-1, 1:-1] & ~region
    return edge
