"""Peak memory of `explain`, `render` and `score` over inputs of growing length, each run in a process of its own."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import click
import numpy as np

from scripts.bench.processes import once
from scripts.bench.videos import FPS, make_minutes, make_set, save_maps


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows: its unit, the usual sizes, and what makes the input, (path without ending, size) → file."""

    unit: str
    sizes: tuple[int, ...]
    make: Callable[[Path, int], Path]


def _video(path: Path, minutes: int) -> Path:
    return make_minutes(path.with_suffix(".mp4"), minutes)


def _saved(path: Path, minutes: int) -> Path:
    return save_maps(_video(path, minutes), 60 * FPS * minutes)


def _clips(path: Path, count: int) -> Path:
    return make_set(path.parent, count, size=(32, 32))


GROWTHS: Mapping[str, Growth] = MappingProxyType(
    {
        "explain": Growth("min", (1, 3, 10), _video),
        "render": Growth("min", (1, 3, 10), _saved),
        "score": Growth("clips", (100, 1000, 10000), _clips),
    }
)


@click.command()
@click.argument("command", type=click.Choice(list(GROWTHS)))
@click.option("--size", "sizes", type=int, multiple=True, help="Minutes of video, or clips; repeatable.")
@click.option("--runs", default=1, show_default=True)
def memory(command: str, sizes: tuple[int, ...], runs: int) -> None:
    """Peak memory of a command over growing inputs, with a small network; its slope."""
    growth, peaks = GROWTHS[command], []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes or growth.sizes:
            given = growth.make(Path(folder) / f"given{size}", size)
            arguments = (command, str(given), str(Path(folder) / f"out{size}"))
            peaks.append(statistics.median(once(*arguments)["megabytes"] for _ in range(runs)))
            click.echo(f"{size} {growth.unit}: {peaks[-1]:.1f} MB at the peak")
    if len(peaks) > 1:
        slope = np.polyfit(sizes or growth.sizes, peaks, 1)[0]
        click.echo(f"slope: {slope:.4f} MB for each of {growth.unit}")
