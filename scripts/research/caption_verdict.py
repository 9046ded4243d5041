"""Test the verdict on captions where the truth is known: does its score tell maps that point at a thing from others?

    scripts/run research.caption_verdict --clips 100

Clips of the caption set, two things each, and the true caption. A map points if its maximum lies on one of the things.
"""

from __future__ import annotations

import tempfile

import click
import numpy as np
import torch

import vidcam
from scripts.research.captions import METHODS
from scripts.research.pool import HELD_OUT_SEED
from scripts.research.verdict_tables import Row, auc_table, points, within_table, word_table
from vidcam.metrics.localization import pointing
from vidcam.motion.captions import make_captioned_clip

MODEL = "tiny_captioner"

FORWARDS = 40
"""Enough for all versions of a clip of one window."""


@click.command()
@click.option("--clips", "count", type=click.IntRange(2), default=100, show_default=True)
def caption_verdict(*, count: int) -> None:
    """Print the tables in Markdown."""
    torch.set_num_threads(1)
    rows = [row for number in range(count) for row in measured(HELD_OUT_SEED + number)]
    truth = points(rows)
    for lines in (auc_table(rows, truth), within_table(rows, truth), word_table(rows, truth)):
        click.echo("\n".join(lines) + "\n")


def measured(seed: int) -> list[Row]:
    """Explain a clip for its caption; returns a row for each method."""
    clip = make_captioned_clip(seed)
    with tempfile.TemporaryDirectory() as folder:
        result = vidcam.explain_video(
            clip.frames,
            folder,
            model=MODEL,
            caption=clip.caption,
            methods=METHODS,
            outputs="data",
            verdict_forwards=FORWARDS,
        )
    things = np.asarray(clip.masks.any(axis=0))[None]
    (explanation, *_) = result.explanation.explanations
    return [
        {
            "network": MODEL,
            "map": method,
            "points": float(pointing(explanation.heat(method), things)[0]),
            "checks": dict(result.explanation.verdict(method, target=0).checks),
        }
        for method in METHODS
    ]


if __name__ == "__main__":
    caption_verdict()
