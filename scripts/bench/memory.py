"""Peak memory of `explain`, `render` and `score` over inputs of growing length, one process for each run."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import click
import numpy as np

from scripts.bench.processes import peak_of
from scripts.bench.videos import make_minutes, make_set, save_maps


@dataclass(frozen=True, slots=True)
class Growth:
    """A growing input: the unit and defaults of its size, and a function (path without suffix, size) → file."""

    unit: str
    sizes: tuple[int, ...]
    make: Callable[[Path, int], Path]


GROWTHS: Mapping[str, Growth] = MappingProxyType(
    {
        "explain": Growth("min", (1, 3, 10), lambda path, size: make_minutes(path.with_suffix(".mp4"), size)),
        "render": Growth("min", (1, 3, 10), lambda path, size: save_maps(make_minutes(path.with_suffix(".mp4"), size))),
        "score": Growth("clips", (100, 1000, 10000), lambda path, size: make_set(path.parent, size, size=(32, 32))),
    }
)


@click.command()
@click.argument("command", type=click.Choice(list(GROWTHS)))
@click.option("--size", "sizes", type=int, multiple=True, help="Minutes of video, or clips; repeatable.")
@click.option("--runs", default=1, show_default=True)
def memory(command: str, sizes: tuple[int, ...], runs: int) -> None:
    """Measure the peak memory of COMMAND over growing inputs with a small network, and its slope."""
    growth, peaks = GROWTHS[command], list[float]()
    sizes = sizes or growth.sizes
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            paths = growth.make(Path(folder) / f"input{size}", size), Path(folder) / f"out{size}"
            peaks.append(statistics.median(peak_of(command, *map(str, paths)) for _ in range(runs)))
            click.echo(f"{size} {growth.unit}: {peaks[-1]:.1f} MB")
    if len(sizes) > 1:
        click.echo(f"slope: {np.polyfit(sizes, peaks, 1)[0]:.4f} MB for each of {growth.unit}")
