"""The tables of the benchmarks, and their Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts import markdown

Quartiles = tuple[float, float, float]
NO_TIMES = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        seconds: lower quartile, median and upper quartile of the wall seconds for one unit.
        processor: median processor seconds for one unit.
        ratio: lower quartile, median and upper quartile of the ratio to the first row in the same round.
        more: further columns, name → text or number.
        rounds: wall seconds for one unit, by round.
    """

    seconds: Quartiles = NO_TIMES
    processor: float = 0.0
    ratio: Quartiles = NO_TIMES
    more: dict[str, str | float] = field(default_factory=dict)
    rounds: tuple[float, ...] = ()

    def over(self, other: Row) -> float:
        """Median ratio of this row's time to the other's in the same round."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))


@dataclass(frozen=True, slots=True)
class Target:
    """A measured value and its upper limit."""

    name: str
    value: float
    limit: float

    def __str__(self) -> str:
        verdict = "met" if round(self.value, 2) <= self.limit else "**missed**"
        return f"Target: {self.name}, {self.value:.2f}, at most {self.limit:.2f}: {verdict}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by name, their title and note, and the targets that they are held to."""

    title: str
    note: str
    rows: Mapping[str, Row]
    targets: tuple[Target, ...] = ()

    def lines(self) -> list[str]:
        """Lines of Markdown."""
        rounds = max(len(row.rounds) for row in self.rows.values())
        note = f"{self.note} Rounds: {rounds}." if rounds else self.note
        targets = [*(f"* {target}" for target in self.targets), ""] if self.targets else []
        return [f"## {self.title}", "", note, "", *self._rows(), "", *targets]

    def _rows(self) -> list[str]:
        rows = self.rows.values()
        has_seconds = any(row.seconds[1] for row in rows)
        has_ratio = any(row.ratio[1] for row in rows)
        more = list(dict.fromkeys(column for row in rows for column in row.more))
        times = ["seconds", "processor seconds"] * has_seconds + ["ratio"] * has_ratio
        cells = []
        for name, row in self.rows.items():
            low, median, high = row.ratio
            seconds = [_number(row.seconds[1]), _number(row.processor) if row.processor else "–"] * has_seconds
            ratio = [f"{median:.2f} ({low:.2f}–{high:.2f})"] * has_ratio
            cells.append([name, *seconds, *ratio, *(_text(row.more.get(column, "–")) for column in more)])
        return markdown.table(["", *times, *more], cells)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
