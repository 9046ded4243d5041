"""How works are timed beside each other, and the table that a case gives.

All works of a table run in turn in one process, round after round in another order, so that a machine whose speed
drifts treats them alike. A ratio is that of two works of the same round. Tables have medians and quartiles of these.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

Work = Callable[[], object]
Quartiles = tuple[float, float, float]
NOTHING = (0.0, 0.0, 0.0)
"""Of a row without times."""


@dataclass(slots=True)
class Row:
    """One line of a table.

    Attributes:
        seconds: quartiles and median for one unit, by the clock.
        processor: median of the processors' time for one unit.
        ratio: quartiles and median of this work over the first of the same round, by the clock; for one unit of each.
        more: further columns, name → text or number.
        rounds: seconds for one unit by the clock in each round; empty where works did not take turns.
    """

    seconds: Quartiles = NOTHING
    processor: float = 0.0
    ratio: Quartiles = NOTHING
    more: dict[str, Any] = field(default_factory=dict)
    rounds: tuple[float, ...] = ()

    def over(self, other: Row) -> float:
        """Median of this work's time over the other's in the same round."""
        return statistics.median(mine / its for mine, its in zip(self.rounds, other.rounds, strict=True))


@dataclass(slots=True)
class Target:
    """One of the promises.

    Attributes:
        name: what is compared.
        value: as measured; None where it was not.
        limit: the largest value that keeps the promise.
        why: the reason for a miss.
        is_shown: whether the case has measured the reason; else it is supposed.
    """

    name: str
    value: float | None
    limit: float
    why: str = ""
    is_shown: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the value is within the limit, to the second digit, as it is printed."""
        return self.value is not None and round(self.value, 2) <= self.limit


@dataclass(slots=True)
class Table:
    """Rows, of which the first is what the others are compared with."""

    title: str
    note: str
    rows: dict[str, Row]
    targets: list[Target] = field(default_factory=list)
    runs: int = 0

    def document(self) -> dict[str, Any]:
        """As it stands in the JSON."""
        return asdict(self) | {"targets": [asdict(one) | {"met": one.is_met} for one in self.targets]}


def interleaved(works: Mapping[str, Work], runs: int, *, units: Mapping[str, int] | None = None) -> dict[str, Row]:
    """Rows of works that take turns.

    Args:
        works: the first is the one that ratios are taken to.
        runs: rounds; before them each work runs once untimed. 0: one round and nothing before it, for works of minutes.
        units: how many units (clips) one call makes, 1 by default; all times are for one unit.
    """
    names, per = list(works), {name: (units or {}).get(name, 1) for name in works}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for work in works.values() if runs else ():
        work()
    for run in range(max(1, runs)):
        turn = run % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()  # what the one before left behind is not this one's cost
            found[name].append(timed(works[name]))
    return {name: row(found[name], found[names[0]], per[name], per[names[0]]) for name in names}


def row(mine: Sequence[tuple[float, float]], first: Sequence[tuple[float, float]], units: int, others: int) -> Row:
    """From (seconds by the clock, of processors) of two works in the same rounds."""
    rounds = tuple(one[0] / units for one in mine)
    ratios = [one / (other[0] / others) for one, other in zip(rounds, first, strict=True)]
    processor = statistics.median(one[1] / units for one in mine)
    return Row(quartiles(rounds), processor, quartiles(ratios), rounds=rounds)


def ratio_of(above: Work, below: Work, runs: int) -> float:
    """Median of the first's time over the second's, in pairs whose order alternates."""
    return interleaved({"below": below, "above": above}, max(2, runs))["above"].ratio[1]


def timed(work: Work) -> tuple[float, float]:
    """Seconds of a call, by the clock and of all processors; a GPU's work is waited for."""
    started, worked = time.perf_counter(), time.process_time()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started, time.process_time() - worked


def quartiles(values: Sequence[float]) -> Quartiles:
    """Lower quartile, median, upper quartile; of fewer than four values the least, the median, the largest."""
    if len(values) < 4:
        return min(values), statistics.median(values), max(values)
    low, median, high = statistics.quantiles(values, n=4)
    return low, median, high


def plain_forward(network: nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """Logits, without gradients."""
    with torch.no_grad():
        logits: torch.Tensor = network(clip)
    return logits
