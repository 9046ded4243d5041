"""The tables of `map_search`: means, and differences from a reference clip by clip.

Intervals are 95 % bootstrap intervals over groups of clips, in bold where a difference excludes 0. Each row says on how
many clips it rests. A difference uses the clips that both maps have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from scripts import markdown
from scripts.research.map_candidates import SEED
from scripts.research.map_measures import Line, Lines
from vidcam.metrics.intervals import Interval, bootstrap_mean

TRUTH = ("energy", "pointing", "coverage", "tIoU", "Loc(0.25)", "Loc(0.5)")
KEPT = ("kept 0.25", "kept 0.5", "kept 0.75")
COLUMNS: Mapping[str, Sequence[Sequence[str]]] = {
    "tiny": (TRUTH, KEPT, tuple(f"{measure} grey" for measure in KEPT)),
    "i3d": (KEPT, TRUTH),
    "i3d space": (("share", "right side"),),
    "i3d time": (("share", "right side"),),
}
Clips = Sequence[Line]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--reference", default="neutral-gradcam", show_default=True, help="Map to subtract.")
@click.option("--least", type=click.IntRange(1), default=1, show_default=True, help="Fewest clips of a row.")
@click.option("--leave-out", default="^$", help="Regular expression of the maps to leave out.")
def tables(*, file: Path, reference: str, least: int, leave_out: str) -> None:
    """Print the tables in Markdown."""
    sets: dict[str, list[Line]] = {}
    for (name, _), line in Lines(file).read().items():
        sets.setdefault(name, []).append(line)
    for name, clips in sorted(sets.items()):
        for possible in COLUMNS[name if name in COLUMNS else name.split("_")[0]]:
            columns = [column for column in possible if any(count(clips, row, column) for row in rows_of(clips))]
            names = [row for row in candidates(clips, columns, least) if not re.search(leave_out, row)]
            click.echo(f"## {name}: differences from {reference}\n")
            click.echo("\n".join([*table(clips, columns, names, reference), ""]))


def rows_of(clips: Clips) -> list[str]:
    """Return the maps in the order of the file."""
    return list(dict.fromkeys(row for line in clips for row in line.rows))


def candidates(clips: Clips, columns: Sequence[str], least: int) -> list[str]:
    """Return the maps with all these measures on enough clips, in the order of the file."""
    return [
        name for name in rows_of(clips) if min((count(clips, name, column) for column in columns), default=0) >= least
    ]


def count(clips: Clips, name: str, column: str) -> int:
    """Count the clips with a measure of a map."""
    return sum(column in line.rows.get(name, {}) for line in clips)


def table(clips: Clips, columns: Sequence[str], names: Sequence[str], reference: str) -> list[str]:
    """One row for each map: the mean, then the difference from the reference."""
    rows = []
    for name in names:
        cells = [number(mean(clips, name, column).value, column) for column in columns]
        if name != reference:
            pairs = (difference(mean(clips, name, column, reference), column) for column in columns)
            cells = [f"{cell} {pair}" for cell, pair in zip(cells, pairs, strict=True)]
        rows.append((name, str(count(clips, name, columns[0])), *cells))
    return markdown.table(("map", "clips", *columns), rows)


def mean(clips: Clips, name: str, column: str, reference: str | None = None) -> Interval:
    """Return the mean of a measure, or of its difference from a reference, over the clips that have it."""
    rows = (name,) if reference is None else (name, reference)
    complete = [line for line in clips if all(column in line.rows.get(row, {}) for row in rows)]
    values = [[line.rows[row][column] for row in rows] for line in complete]
    signs = np.array([1.0, -1.0][: len(rows)])
    totals = np.array(values, np.float64).reshape(-1, len(rows)) @ signs
    return bootstrap_mean(totals, np.random.default_rng(SEED), groups=[line.group for line in complete])


def difference(interval: Interval, column: str) -> str:
    """Format a difference with its interval, in bold if 0 is outside."""
    if np.isnan(interval.value):
        return "–"
    value, low, high = (number(part, column, sign="+") for part in (interval.value, interval.low, interval.high))
    is_sure = interval.low * interval.high > 0
    return f"**{value} [{low}, {high}]**" if is_sure else f"{value} [{low}, {high}]"


def number(value: float, column: str, *, sign: str = "") -> str:
    """Format a share with two digits, 100 log(O/Y) with none."""
    return f"{value:{sign}.{0 if column.startswith('kept') else 2}f}"
