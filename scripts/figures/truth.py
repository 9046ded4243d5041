"""The figure of docs/methods.md: every method on one clip of the motion set, beside the truth, with its verdict."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

import vidcam
from scripts import markdown
from scripts.figures.motion import outlined
from scripts.figures.sheets import overlaid, table
from scripts.research.motion_maps import positive_part
from scripts.research.pool import to_input
from vidcam.cam.methods import ALL_METHODS
from vidcam.maps import Floats, normalise_per_clip
from vidcam.metrics.localization import energy, pointing
from vidcam.models.registry import load_model
from vidcam.motion.box_tracks import filled_boxes
from vidcam.pipelines.study.benchmark import FIRST_SEED
from vidcam.pipelines.study.motion_set import mixed
from vidcam.results.explanation import RELEVANCE

LEFT_OUT = ("expected-gradients", *RELEVANCE)
"""The first needs other clips, the others a transformer."""

CLIP = 11
"""Clip of the benchmark: of the first 20, the one whose energy is the median for gradcam-ig."""

FORWARDS, GUTTER, COLUMNS = 100, 210, (2, 4, 6, 8, 10, 12)


def draw_truth(out: Path) -> None:
    """Write methods-truth.jpg, and print what each map holds."""
    clip, model = mixed(CLIP + 1, first_seed=FIRST_SEED, actors=1)[CLIP].clip(), load_model("tiny_r3d", device="cpu")
    methods = [name for name in ALL_METHODS if name not in LEFT_OUT]
    tensor, boxes = to_input(torch.from_numpy(clip.frames[None])), filled_boxes(clip)
    explanation = vidcam.explain(model, tensor, methods=methods, target=clip.label)
    verdicts = vidcam.verdict(model, tensor, explanation, FORWARDS)
    heats: dict[str, Floats] = {name: explanation.heat(name)[0] for name in explanation.methods}
    heats |= {name: normalise_per_clip(positive_part(part))[0] for name, part in explanation.guided.items()}
    inside, rows, lines = np.asarray(boxes.any(axis=0))[None], {"source": outlined(clip.frames, boxes)}, []
    for name in methods:
        drawn = np.clip(heats[name] / highest(heats[name]), 0, 1)
        pictures = np.stack([overlaid(frame, heat) for frame, heat in zip(clip.frames, drawn, strict=True)])
        rows[f"{name} {verdicts[name].word}"] = outlined(pictures, boxes)
        values = (measure(heats[name][None], inside)[0] for measure in (energy, pointing))
        lines.append((name, *(f"{value:.2f}" for value in values), verdicts[name].word))
    shown = {name: {f"frame {n}": row[f"frame {n}"] for n in COLUMNS} for name, row in rows.items()}
    table(shown, GUTTER, out / "methods-truth.jpg")
    click.echo("\n".join(markdown.table(("method", "energy", "pointing", "verdict"), lines)))


def highest(heat: Floats) -> float:
    """Return the value that is drawn as 1, as in a video: the largest 99th percentile of a frame."""
    return max(float(np.quantile(heat.reshape(len(heat), -1), 0.99, axis=1).max()), 0.1)
