"""Measure vidcam: `python -m scripts.bench results` beside other tools, the other cases by itself.

Works that are compared take turns in one process; ratios are medians of works of one round.
"""

from __future__ import annotations

import click

from scripts.bench.fuzz import fuzz
from scripts.bench.long_video import long_video
from scripts.bench.memory import memory
from scripts.bench.odd_files import odd_files
from scripts.bench.reach import reach
from scripts.bench.report import table_lines
from scripts.bench.results import results
from scripts.bench.score import score


@click.group()
def bench() -> None:
    """Measure vidcam on this machine."""


for command in (fuzz, long_video, memory, odd_files, reach, results, score):
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
    from scripts.bench import maps
    from scripts.library import NEUTRAL_METHODS, PAIR_METHODS

    chosen = methods or (*PAIR_METHODS, *NEUTRAL_METHODS)
    table = maps.cost(name, batch, runs, layer=layer, methods=chosen, weights=weights)
    click.echo("\n".join(table_lines(table.document())))


@bench.command()
@click.option("--size", "names", multiple=True, help="Repeatable: '340 × 256', '1920 × 1080', '3840 × 2160'.")
@click.option("--style", "styles", multiple=True, default=("overlay",), show_default=True)
@click.option("--strip", is_flag=True)
@click.option("--runs", default=5, show_default=True)
def render(*, names: tuple[str, ...], styles: tuple[str, ...], strip: bool, runs: int) -> None:
    """Frames a second of `render`, beside plain decoding and encoding."""
    from scripts.bench.by_hand import SIZES, drawing

    for name in names or SIZES:
        for style in styles:
            click.echo("\n".join(table_lines(drawing(name, runs, style=style, strip=strip).document())))


if __name__ == "__main__":
    bench()
