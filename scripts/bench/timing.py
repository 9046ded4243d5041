"""Time works in turn.

All works of a table run in one process, one after the other, in rounds of changing order. A machine whose speed drifts
treats them alike. A ratio compares two works of the same round.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from scripts.bench.tables import Quartiles, Row

Work = Callable[[], object]


def interleaved(works: Mapping[str, Work], runs: int, *, units: int | Mapping[str, int] = 1) -> dict[str, Row]:
    """Time works in turn and return a row for each.

    Args:
        works: the first one is the reference of the ratios.
        runs: rounds, after one untimed run of each work. 0: one round without an untimed run, for works of minutes.
        units: units (clips or frames) of one call, of all works or by name (1 by default); times are for one unit.
    """
    names, times = list(works), {name: list[tuple[float, float]]() for name in works}
    for work in works.values() if runs else ():
        work()
    for run in range(max(1, runs)):
        turn = run % len(names)
        for name in names[turn:] + names[:turn]:
            gc.collect()  # free the objects of the work before
            times[name].append(timed(works[name]))
    counts = {name: units if isinstance(units, int) else units.get(name, 1) for name in names}
    return {name: row(times[name], times[names[0]], counts[name], counts[names[0]]) for name in names}


def row(
    times: Sequence[tuple[float, float]], reference: Sequence[tuple[float, float]], units: int, reference_units: int
) -> Row:
    """Summarise (wall, processor) seconds of a work beside those of the reference in the same rounds."""
    rounds = tuple(wall / units for wall, _ in times)
    ratios = [seconds * reference_units / wall for seconds, (wall, _) in zip(rounds, reference, strict=True)]
    processor = statistics.median(seconds / units for _, seconds in times)
    return Row(quartiles(rounds), processor, quartiles(ratios), rounds=rounds)


def timed(work: Work) -> tuple[float, float]:
    """Wall seconds and processor seconds of a call."""
    started, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - worked


def quartiles(values: Sequence[float]) -> Quartiles:
    """Lower quartile, median and upper quartile; of fewer than four values minimum, median and maximum."""
    if len(values) < 4:
        return min(values), statistics.median(values), max(values)
    low, median, high = statistics.quantiles(values, n=4)
    return low, median, high


def plain_forward(network: nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """Logits without gradients."""
    with torch.no_grad():
        logits: torch.Tensor = network(clip)
    return logits
