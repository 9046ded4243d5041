"""Measure vidcam: `scripts/run bench results` beside other tools, the other commands by itself."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import click

from scripts.bench import maps
from scripts.bench.access import random_access
from scripts.bench.agreement import agreement
from scripts.bench.by_hand import SIZES, drawing, whole_video
from scripts.bench.core import core
from scripts.bench.fuzz import fuzz
from scripts.bench.kills import kills
from scripts.bench.loading import loading
from scripts.bench.memory import memory
from scripts.bench.merge import merge
from scripts.bench.motion import motion, motion_row
from scripts.bench.odd_files import odd_files
from scripts.bench.page_tasks import page_tasks
from scripts.bench.pages import pages
from scripts.bench.processes import PINS, prepare_environment, run_with_peers
from scripts.bench.roofline import roofline
from scripts.bench.scale import scale
from scripts.bench.score import scoring
from scripts.bench.stages import stages
from scripts.bench.start import start
from scripts.bench.tables import Table
from scripts.bench.training import training_step
from scripts.library import BASELINE_METHODS, PAIR_METHODS

NETWORKS = ("r3d_18", "i3d")

Case = Callable[[Sequence[str], int], list[Table]]
CASES: Mapping[str, tuple[Case, int]] = MappingProxyType(
    {
        "forward": (lambda names, runs: [maps.forward(name, runs) for name in names], 9),
        "maps": (lambda names, runs: [maps.maps(name, runs) for name in names], 7),
        "earlier": (lambda names, runs: [maps.maps(name, runs, earlier=True) for name in names], 5),
        "roofline": (lambda names, runs: [roofline(name, runs) for name in names], 7),
        "costly": (lambda names, runs: [maps.costly(name, runs) for name in names], 3),
        "transformer": (lambda _, runs: [maps.transformer(runs)], 3),
        "agreement": (lambda _, __: agreement(), 1),
        "motion": (lambda _, __: motion(), 1),
        "memory": (lambda names, runs: [maps.memory(name, runs) for name in names], 3),
        "random": (lambda _, runs: random_access(runs), 9),
        "render": (lambda _, runs: [drawing(size, runs) for size in SIZES], 5),
        "score": (lambda names, _: [scoring(names[0], 6)], 1),
        "start": (lambda _, runs: [start(runs)], 5),
        "stages": (lambda names, runs: [stages(names[-1], 60, runs)], 3),
        "video-30s": (lambda names, runs: [whole_video(names[-1], 30, runs)], 1),
        "video-10min": (lambda _, runs: [whole_video("tiny_r3d", 600, runs)], 1),
    }
)
"""Name → (networks, rounds) → tables, and the default number of rounds."""


@click.group()
def bench() -> None:
    """Measure vidcam on this machine."""


COMMANDS = (core, fuzz, kills, loading, memory, merge, motion_row, odd_files, page_tasks, pages, scale, training_step)
for command in COMMANDS:
    bench.add_command(command)


@bench.command()
@click.argument("name", type=click.Choice(list(CASES)))
@click.option("--network", "networks", multiple=True, default=NETWORKS, show_default=True)
@click.option("--runs", type=int, help="Rounds; default: the case's own.")
def case(name: str, networks: tuple[str, ...], runs: int | None) -> None:
    """Print the tables of one case, beside the tools that are installed."""
    run, default_runs = CASES[name]
    with contextlib.redirect_stdout(sys.stderr):  # medcam prints
        tables = run(networks, runs or default_runs)
    click.echo("\n".join(line for table in tables for line in table.lines()))


@bench.command()
@click.option("--only", "names", multiple=True, type=click.Choice(list(CASES)), default=tuple(CASES))
@click.option("--network", "networks", multiple=True, default=NETWORKS, show_default=True)
@click.option("--runs", type=int, help="Rounds of every case; default: each case's own.")
def results(names: tuple[str, ...], networks: tuple[str, ...], runs: int | None) -> None:
    """Print all cases beside the other tools, as Markdown: the content of benchmarks/RESULTS.md."""
    prepare_environment()
    click.echo("\n".join(["# Results", "", *_head(), ""]))
    options = [f"--network={network}" for network in networks] + ([f"--runs={runs}"] if runs else [])
    for name in names:
        click.echo(f"bench: {name}", err=True)
        run_with_peers("case", name, *options)


@bench.command()
@click.option("--model", "name", default="i3d", show_default=True)
@click.option("--batch", default=1, show_default=True)
@click.option("--runs", default=15, show_default=True)
@click.option("--layer", help="Default: the model's own.")
@click.option("--method", "methods", multiple=True, default=(*PAIR_METHODS, *BASELINE_METHODS), help="Repeatable.")
@click.option("--weights", type=click.Choice(["pretrained", "random"]), default="pretrained", show_default=True)
def cost(*, name: str, batch: int, runs: int, layer: str | None, methods: tuple[str, ...], weights: str) -> None:
    """Time methods with their audit beside a plain forward pass."""
    click.echo("\n".join(maps.cost(name, batch, runs, layer=layer, methods=methods, weights=weights).lines()))


def _head() -> list[str]:
    """The machine, the versions, and how to read the tables."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    names = ("vidcam", "av", "numpy", "torch", "torchvision")
    pinned = PINS.read_text("utf-8").partition("\n\n")[0].splitlines()
    peers = [line.partition(";")[0].strip().replace("==", " ") for line in pinned if not line.startswith("#")]
    cpu = models[0] if models else platform.machine()
    return [
        f"Machine: {cpu}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}.",
        "",
        f"Versions: {', '.join([*(f'{name} {version(name)}' for name in names), *peers])}.",
        "",
        "The works of a table take turns, in rounds of changing order. Seconds are medians. Ratios are to the first",
        "row in the same round: median (quartiles; minimum and maximum of fewer than four rounds).",
    ]


if __name__ == "__main__":
    bench()
