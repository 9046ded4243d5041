"""Measure vidcam: `python -m scripts.bench results` beside other tools, the other cases by itself.

Works that are compared take turns in one process; ratios are medians of works of one round.
"""

from __future__ import annotations

import click

from scripts.bench import maps
from scripts.bench.cases import CASES
from scripts.bench.fuzz import fuzz
from scripts.bench.long_video import long_video
from scripts.bench.memory import memory
from scripts.bench.odd_files import odd_files
from scripts.bench.reach import reach
from scripts.bench.report import table_lines
from scripts.bench.results import NETWORKS, results
from scripts.bench.score import kill
from scripts.library import BASELINE_METHODS, PAIR_METHODS


@click.group()
def bench() -> None:
    """Measure vidcam on this machine."""


for command in (fuzz, kill, long_video, memory, odd_files, reach, results):
    bench.add_command(command)


@bench.command()
@click.option("--model", "name", default="i3d", show_default=True)
@click.option("--batch", default=1, show_default=True)
@click.option("--runs", default=15, show_default=True)
@click.option("--layer", help="Default: the model's own.")
@click.option("--method", "methods", multiple=True, help="Repeatable; default: all that A, g and A₀ are enough for.")
@click.option("--weights", type=click.Choice(["pretrained", "random"]), default="pretrained", show_default=True)
def cost(*, name: str, batch: int, runs: int, layer: str | None, methods: tuple[str, ...], weights: str) -> None:
    """Methods with their audit, over a plain forward pass without gradients at the same batch."""
    chosen = methods or (*PAIR_METHODS, *BASELINE_METHODS)
    table = maps.cost(name, batch, runs, layer=layer, methods=chosen, weights=weights)
    click.echo("\n".join(table_lines(table.document())))


@bench.command()
@click.argument("name", type=click.Choice(list(CASES)))
@click.option("--network", "networks", multiple=True, default=NETWORKS, show_default=True)
@click.option("--runs", type=int, help="Default: as many as the case needs.")
def case(name: str, networks: tuple[str, ...], runs: int | None) -> None:
    """One case of `results` in this environment, beside the tools that it has; writes nothing."""
    found = CASES[name].run(networks, runs or CASES[name].runs)
    lines = [line for table in found for line in table_lines(table.document())] if isinstance(found, list) else [found]
    click.echo("\n".join(map(str, lines)))


if __name__ == "__main__":
    bench()
