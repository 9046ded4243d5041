"""The figure of docs/captions.md: the words of one caption, each with its map, by three methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import vidcam
from scripts.figures.motion import SIDE
from scripts.figures.sheets import overlaid, square, table
from scripts.research.caption_pool import tokens_of
from scripts.research.pool import to_input
from vidcam.models.families.tiny_captioner import TinyCaptioner
from vidcam.models.registry import load_model
from vidcam.motion.captions import make_captioned_clip

SEED = 5
"""A held-out clip."""

MOMENT = 8
METHODS = ("gradcam", "gradcam++", "hirescam")
GUTTER = 110
SILENT = ("a", "on", "at", "the", "and")
"""Words that name nothing."""


def draw_captions(out: Path) -> None:
    """Write captions.jpg: a row for each method, a column for each word that names something, and for the caption."""
    clip, network = make_captioned_clip(SEED), load_model("tiny_captioner", device="cpu").module
    assert isinstance(network, TinyCaptioner)
    tokens, words = tokens_of([clip.things])[0], clip.caption.split()
    shown = [place for place, word in enumerate(words) if word not in SILENT]
    targets = [vidcam.targets.log_prob(tokens, words=place) for place in (*shown, None)]
    inputs = to_input(torch.from_numpy(clip.frames[None]))
    found = vidcam.explain_each(
        network, inputs, targets, methods=METHODS, layer="layer4", kwargs={"tokens": tokens[None]}
    )
    frame, rows = clip.frames[MOMENT], {}
    for method in METHODS:
        heats = [each.heat(method)[0, MOMENT] / max(float(each.heat(method).max()), 1e-12) for each in found]
        pictures = [square(overlaid(frame, np.clip(heat, 0, 1)), SIDE) for heat in heats]
        names = [f"{words[place]}" for place in shown]
        rows[method] = {"source": square(frame, SIDE), **dict(zip([*names, "caption"], pictures, strict=True))}
    table(rows, GUTTER, out / "captions.jpg")
