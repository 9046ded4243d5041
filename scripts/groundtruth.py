"""The truth table: how well each method's maps meet what is known of made clips, for both shipped models.

Clips that the models have not seen, explained for their true class. The answer is each actor's box while it acts.
Intervals are 95 % bootstrap intervals over clips; differences are taken clip by clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import numpy as np
from groundtruth_maps import CONTROLS, Shown, shown
from numpy.typing import NDArray

from vidcam.metrics.bootstrap import bootstrap_mean
from vidcam.metrics.energy import energy
from vidcam.metrics.instances import coverage, peaks, recall
from vidcam.metrics.localization import DELTAS, localization
from vidcam.metrics.pointing import pointing
from vidcam.metrics.temporal_iou import temporal_iou
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.registry import load_model
from vidcam.motion.clip import MotionClip
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
    one = made(FIRST_SEED, clips, actors=1)
    more = [clip for actors in (2, 3) for clip in made(FIRST_SEED, several, actors=actors)]
    for name in names or NAMES:
        model = load_model(name, device="cpu")
        click.echo(f"## {name}, {layer or model.spec.layer}\n")
        for title, part, columns in (("One actor", one, ONE_ACTOR), ("Two or three actors", more, SEVERAL)):
            found = list(shown(model, part, layer=layer, seed=SEED))
            measured = {method: measures(found, method) for method in found[0].heats}
            right = 100 * np.mean([entry.is_right for entry in found])
            click.echo(f"{title}: {len(found)} clips, {right:.1f} % of them named rightly\n")
            click.echo("\n".join([*table(measured, found, columns), "", *differences(measured, columns), ""]))


def made(first_seed: int, count: int, *, actors: int) -> list[MotionClip]:
    """Clips of all classes."""
    return [request.clip() for request in mixed(count, first_seed=first_seed, actors=actors)]


def measures(found: Sequence[Shown], method: str) -> dict[str, NDArray[np.float64]]:
    """Every measure of one method's maps, (N,) each."""
    heats = np.stack([entry.heats[method] for entry in found])
    inside = np.stack([entry.instances.any(axis=0) for entry in found])
    acting = np.stack([entry.clip.acting.any(axis=0) for entry in found])
    covered = [coverage(entry.heats[method], entry.instances) for entry in found]
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
    lines = [f"| method | empty | {' | '.join(columns)} |", f"|---|---|{'---|' * len(columns)}"]
    for method, values in measured.items():
        empty = "–" if method in CONTROLS else str(sum(entry.empty[method] for entry in found))
        cells = [interval(values[column]) for column in columns]
        lines.append(f"| {method} | {empty} | {' | '.join(cells)} |")
    return lines


def differences(measured: Measured, columns: Sequence[str]) -> list[str]:
    """How much more one method has than another, clip by clip."""
    lines = [f"| difference | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for first, second in COMPARED:
        cells = [interval(measured[first][column] - measured[second][column], sign="+") for column in columns]
        lines.append(f"| {first} - {second} | {' | '.join(cells)} |")
    return lines


def interval(values: NDArray[np.float64], *, sign: str = "") -> str:
    """'.53 [.50, .56]'; the seed is the same for all, so that the same clips are drawn."""
    found = bootstrap_mean(values, np.random.default_rng(SEED))
    value, low, high = (f"{part:{sign}.2f}" for part in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    groundtruth()
