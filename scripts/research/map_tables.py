"""The tables of `map_search`: means with intervals, and differences from two references clip by clip.

Intervals are 95 % bootstrap intervals over groups of clips, in bold where a difference excludes 0. Each row says on how
many clips it rests. Its differences use the clips that both maps have.
"""

from __future__ import annotations

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
REFERENCES = ("gradcam", "neutral-gradcam", "centre")

Clips = Sequence[Line]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--against", multiple=True, default=REFERENCES, show_default=True, help="Maps to subtract.")
@click.option("--least", type=click.IntRange(1), default=1, show_default=True, help="Fewest clips of a row.")
def tables(*, file: Path, against: Sequence[str], least: int) -> None:
    """Print the tables in Markdown."""
    sets: dict[str, list[Line]] = {}
    for (name, _), line in Lines(file).read().items():
        sets.setdefault(name, []).append(line)
    for name, clips in sorted(sets.items()):
        for columns in COLUMNS[name if name in COLUMNS else name.split("_")[0]]:
            groups = len({line.group for line in clips})
            click.echo(f"## {name}: {len(clips)} clips of {groups} groups\n")
            click.echo("\n".join([*means(clips, columns, least), "", *differences(clips, columns, against, least), ""]))


def candidates(clips: Clips, columns: Sequence[str], least: int) -> list[str]:
    """Return the maps with all these measures on enough clips, in the order of the file."""
    names = dict.fromkeys(row for line in clips for row in line.rows)
    return [name for name in names if min(count(clips, name, column) for column in columns) >= least]


def count(clips: Clips, name: str, column: str) -> int:
    """Count the clips with a measure of a map."""
    return sum(column in line.rows.get(name, {}) for line in clips)


def means(clips: Clips, columns: Sequence[str], least: int) -> list[str]:
    """One row for each map."""
    rows = [
        (name, str(count(clips, name, columns[0])), *(str_of(mean(clips, name, column)) for column in columns))
        for name in candidates(clips, columns, least)
    ]
    return markdown.table(("map", "clips", *columns), rows)


def differences(clips: Clips, columns: Sequence[str], against: Sequence[str], least: int) -> list[str]:
    """One row for each map, with its differences from the references."""
    pairs = [(column, reference) for column in columns for reference in against]
    rows = [
        (name, *(str_of(mean(clips, name, *pair), is_difference=True) for pair in pairs))
        for name in candidates(clips, columns, least)
    ]
    return markdown.table(("map", *(f"{column} − {reference}" for column, reference in pairs)), rows)


def mean(clips: Clips, name: str, column: str, reference: str | None = None) -> Interval:
    """Return the mean of a measure, or of its difference from a reference, over the clips that have it."""
    rows = (name,) if reference is None else (name, reference)
    complete = [line for line in clips if all(column in line.rows.get(row, {}) for row in rows)]
    values = [[line.rows[row][column] for row in rows] for line in complete]
    signs = np.array([1.0, -1.0][: len(rows)])
    totals = np.array(values, np.float64).reshape(-1, len(rows)) @ signs
    return bootstrap_mean(totals, np.random.default_rng(SEED), groups=[line.group for line in complete])


def str_of(interval: Interval, *, is_difference: bool = False) -> str:
    """Format with two digits if the value is a share, else with none; a sure difference in bold."""
    if np.isnan(interval.value):
        return "–"
    digits = 2 if max(abs(interval.low), abs(interval.high)) <= 1 else 0
    sign = "+" if is_difference else ""
    value, low, high = (f"{part:{sign}.{digits}f}" for part in (interval.value, interval.low, interval.high))
    text = f"{value} [{low}, {high}]"
    return f"**{text}**" if is_difference and interval.low * interval.high > 0 else text
