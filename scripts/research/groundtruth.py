"""The truth table: how well each method's maps meet what is known of made clips, for both shipped models.

Clips that the models have not seen, explained for their true class. The answer is each actor's box while it acts.
Intervals are 95 % bootstrap intervals over clips; differences are taken clip by clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import numpy as np
from numpy.typing import NDArray

from scripts import markdown
from scripts.research.motion_maps import CONTROLS, Shown, shown
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
@click.option("--layer", help="Default: each model's last with an extent.")
@click.option("--clips", type=click.IntRange(1), default=320, show_default=True, help="Of one actor.")
@click.option("--several", type=click.IntRange(1), default=160, show_default=True, help="Of two, and as many of three.")
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
            found = list(shown(model, part, layer=layer, seed=SEED))
            measured = {method: measures(found, method) for method in found[0].heats}
            right = 100 * np.mean([entry.is_right for entry in found])
            click.echo(f"{title}: {len(found)} clips, {right:.1f} % of them named rightly\n")
            click.echo("\n".join([*table(measured, found, columns), "", *differences(measured, columns), ""]))


def measures(found: Sequence[Shown], method: str) -> dict[str, NDArray[np.float64]]:
    """Every measure of one method's maps, (N,) each."""
    heats = np.stack([entry.heats[method] for entry in found])
    inside = np.stack([entry.instances.any(axis=0) for entry in found])
    acting = np.stack([entry.clip.acting.any(axis=0) for entry in found])
    covered = [instance_coverage(entry.heats[method], entry.instances) for entry in found]
    highest = [peaks(entry.heats[method], entry.instances) for entry in found]
    return {
        "area": heats.mean(axis=(1, 2, 3), dtype=np.float64),
        "pointing": pointing(heats, inside),
        **{f"Loc({delta:g})": localization(heats, inside, delta) for delta in DELTAS},
        "energy": energy(heats, inside),
        "temporal IoU": temporal_iou(heats, acting),
        "coverage": np.array([shares.mean() for shares in covered]),
        "recall": np.array([recall(shares) for shares in covered]),
        "weakest peak": np.array([peak.min() for peak in highest]),
    }


def table(measured: Measured, found: Sequence[Shown], columns: Sequence[str]) -> list[str]:
    """One row a method, then the controls."""
    empty = {name: str(sum(entry.empty[name] for entry in found)) for name in measured if name not in CONTROLS}
    rows = [
        (method, empty.get(method, "–"), *(interval(values[column]) for column in columns))
        for method, values in measured.items()
    ]
    return markdown.table(("method", "empty", *columns), rows)


def differences(measured: Measured, columns: Sequence[str]) -> list[str]:
    """How much more one method has than another, clip by clip."""
    rows = [
        (f"{one} - {two}", *(interval(measured[one][name] - measured[two][name], sign="+") for name in columns))
        for one, two in COMPARED
    ]
    return markdown.table(("difference", *columns), rows)


def interval(values: NDArray[np.float64], *, sign: str = "") -> str:
    """'.53 [.50, .56]'; the seed is the same for all, so that the same clips are drawn."""
    found = bootstrap_mean(values, np.random.default_rng(SEED))
    value, low, high = (f"{part:{sign}.2f}" for part in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    groundtruth()
