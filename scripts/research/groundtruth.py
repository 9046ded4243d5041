"""The ground-truth table: how well each method's maps match the truth of synthetic clips, for both shipped models.

Held-out clips are explained for their true class. The truth is each actor's box while it acts. Intervals are 95 %
bootstrap intervals over clips. Differences are taken clip by clip.

Of the guided methods the positive part is measured. It says little about the class: guided backpropagation hardly
changes (r = 0.95) when the reversed motion is explained.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import numpy as np
from numpy.typing import NDArray

from scripts import markdown
from scripts.research.motion_maps import CONTROLS, ExplainedClip, explain_clips
from vidcam.metrics.instances import instance_coverage, peaks, recall
from vidcam.metrics.intervals import bootstrap_mean
from vidcam.metrics.localization import DELTAS, energy, localization, pointing
from vidcam.metrics.temporal_iou import temporal_iou
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.registry import load_model
from vidcam.pipelines.study.motion_set import mixed

FIRST_SEED = 500_000
SEED = 0

NAMES = tuple(spec.name for spec in TINY_SPECS)

ONE_ACTOR = ("area", "pointing", *(f"Loc({delta:g})" for delta in DELTAS), "energy", "temporal IoU", "coverage")
SEVERAL = ("recall", "coverage", "weakest peak", "pointing", "Loc(0.25)", "energy", "temporal IoU")
COMPARED = (("gradcam++", "gradcam"), ("gradcam++", "gradcam+"), ("gradcam+", "gradcam"))

Measured = dict[str, dict[str, NDArray[np.float64]]]
"""Method → measure → (N,)."""


@click.command()
@click.option("--model", "names", multiple=True, type=click.Choice(NAMES), help="Default: both.")
@click.option("--layer", help="Default: the model's own.")
@click.option("--clips", type=click.IntRange(1), default=320, show_default=True, help="Of one actor.")
@click.option(
    "--several",
    type=click.IntRange(1),
    default=160,
    show_default=True,
    help="Of two actors, and of three.",
)
def groundtruth(*, names: tuple[str, ...], layer: str | None, clips: int, several: int) -> None:
    """Print the tables in Markdown."""
    one, two, three = (
        [request.clip() for request in mixed(count, first_seed=FIRST_SEED, actors=actors)]
        for actors, count in ((1, clips), (2, several), (3, several))
    )
    for name in names or NAMES:
        model = load_model(name, device="cpu")
        click.echo(f"## {name}, {layer or model.spec.layer}\n")
        for title, part, columns in (("One actor", one, ONE_ACTOR), ("Two or three actors", two + three, SEVERAL)):
            explained = list(explain_clips(model, part, layer=layer, seed=SEED))
            measured = {method: measures(explained, method) for method in explained[0].heats}
            correct = 100 * np.mean([entry.is_correct for entry in explained])
            click.echo(f"{title}: {len(explained)} clips, {correct:.1f} % of them predicted correctly\n")
            click.echo("\n".join([*table(measured, explained, columns), "", *differences(measured, columns), ""]))


def measures(explained: Sequence[ExplainedClip], method: str) -> dict[str, NDArray[np.float64]]:
    """Measure one method's maps: measure → (N,)."""
    heats = np.stack([entry.heats[method] for entry in explained])
    inside = np.stack([entry.instances.any(axis=0) for entry in explained])
    acting = np.stack([entry.clip.acting.any(axis=0) for entry in explained])
    coverages = [instance_coverage(entry.heats[method], entry.instances) for entry in explained]
    maxima = [peaks(entry.heats[method], entry.instances) for entry in explained]
    return {
        "area": heats.mean(axis=(1, 2, 3), dtype=np.float64),
        "pointing": pointing(heats, inside),
        **{f"Loc({delta:g})": localization(heats, inside, delta) for delta in DELTAS},
        "energy": energy(heats, inside),
        "temporal IoU": temporal_iou(heats, acting),
        "coverage": np.array([shares.mean() for shares in coverages]),
        "recall": np.array([recall(shares) for shares in coverages]),
        "weakest peak": np.array([peak.min() for peak in maxima]),
    }


def table(measured: Measured, explained: Sequence[ExplainedClip], columns: Sequence[str]) -> list[str]:
    """One row for each method and control."""
    empty = {name: str(sum(entry.empty[name] for entry in explained)) for name in measured if name not in CONTROLS}
    rows = [
        (method, empty.get(method, "–"), *(interval(values[column]) for column in columns))
        for method, values in measured.items()
    ]
    return markdown.table(("method", "empty", *columns), rows)


def differences(measured: Measured, columns: Sequence[str]) -> list[str]:
    """Differences of two methods, clip by clip."""
    rows = [
        (f"{a} - {b}", *(interval(measured[a][name] - measured[b][name], sign="+") for name in columns))
        for a, b in COMPARED
    ]
    return markdown.table(("difference", *columns), rows)


def interval(values: NDArray[np.float64], *, sign: str = "") -> str:
    """Format as '0.53 [0.50, 0.56]'. All intervals draw the same clips."""
    mean = bootstrap_mean(values, np.random.default_rng(SEED))
    value, low, high = (f"{part:{sign}.2f}" for part in (mean.value, mean.low, mean.high))
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    groundtruth()
