"""Test the verdict on captions where the truth is known: does its score tell maps that point at a thing from others?

    scripts/run research.caption_verdict --clips 100

Clips of the caption set, two things each, and the true caption. A map points if its maximum lies on one of the things.
The second truth is energy: at least three times the things' share of the clip.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

import vidcam
from scripts.markdown import table
from scripts.research.captions import METHODS
from scripts.research.pool import HELD_OUT_SEED
from scripts.research.verdict_tables import FEWEST, auc, has_energy, points
from vidcam.metrics.localization import energy, pointing
from vidcam.motion.captions import make_captioned_clip
from vidcam.results.verdict import features, judge

Row = Mapping[str, Any]

FORWARDS = 40
"""Enough for all versions of a clip of one window."""


@click.command()
@click.option("--clips", "count", type=click.IntRange(2), default=100, show_default=True)
def caption_verdict(*, count: int) -> None:
    """Print the tables in Markdown."""
    torch.set_num_threads(1)
    rows = [row for number in range(count) for row in measured(HELD_OUT_SEED + number)]
    click.echo("\n".join(auc_table(rows)) + "\n\n" + "\n".join(word_table(rows)))


def measured(seed: int) -> list[Row]:
    """Explain a clip for its caption; returns a row for each method."""
    clip = make_captioned_clip(seed)
    with tempfile.TemporaryDirectory() as folder:
        result = vidcam.explain_video(
            clip.frames,
            folder,
            model="tiny_captioner",
            caption=clip.caption,
            methods=METHODS,
            outputs="data",
            verdict_forwards=FORWARDS,
        )
    things = np.asarray(clip.masks.any(axis=0))[None]
    (explanation, *_) = result.explanation.explanations
    return [
        {
            "method": method,
            "points": float(pointing(explanation.heat(method), things)[0]),
            "energy": float(energy(explanation.heat(method), things)[0] / things.mean()),
            "checks": dict(result.explanation.verdict(method, target=0).checks),
        }
        for method in METHODS
    ]


def auc_table(rows: Sequence[Row]) -> list[str]:
    """AUC of the score and of its features by both truths, over all maps and within the methods."""
    found = [features(row["checks"]) for row in rows]
    values = {"score": np.array([judge(row["checks"]).score or 0.0 for row in rows])}
    values |= {name: np.array([each[name] for each in found]) for name in ("place", "half")}
    methods = np.array([row["method"] for row in rows])
    lines = []
    for name, column in values.items():
        for label, truth in (("points", points(rows)), ("energy", has_energy(rows))):
            lines.append((name, label, f"{auc(column, truth):.2f}", *within(column, truth, methods)))
    return table(("check", "truth", "pooled", *METHODS), lines)


def within(values: NDArray[np.float64], truth: NDArray[np.bool_], methods: NDArray[np.str_]) -> list[str]:
    """AUC within each method that has enough maps of both kinds."""
    cells = []
    for method in METHODS:
        chosen = methods == method
        good = int(truth[chosen].sum())
        is_enough = FEWEST <= good <= chosen.sum() - FEWEST
        cells.append(f"{auc(values[chosen], truth[chosen]):.2f}" if is_enough else "–")
    return cells


def word_table(rows: Sequence[Row]) -> list[str]:
    """How many maps of each word point."""
    words, truth = np.array([judge(row["checks"]).word for row in rows]), points(rows)
    lines = [
        (word, f"{truth[words == word].mean():.2f} of {(words == word).sum()}" if (words == word).any() else "none")
        for word in ("reliable", "doubtful", "unreliable")
    ]
    return table(("word", "share that points"), lines)


if __name__ == "__main__":
    caption_verdict()
