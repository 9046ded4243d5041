"""Explain thousands of damaged files: two tables of outcomes, and each bad one with the command that repeats it.

A seed gives the same file each time. The exit code is 1 if any outcome is bad: a crash, a hang, too much memory, a
traceback or a malformed result.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

import click

from scripts.markdown import table
from tests.helpers.fuzz import BAD, GOOD, HANG_SECONDS, Outcome, cases_for, run
from tests.helpers.mutations import CONTAINERS
from vidcam.video.reader import DECODERS, Decoder


@click.command()
@click.option("--seeds", default=1000, show_default=True, help="Number of files; the containers take turns.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--seed", type=int, help="Only this file.")
@click.option("--container", type=click.Choice(CONTAINERS), help="Only this container.")
@click.option("--decoder", default="auto", show_default=True, type=click.Choice(DECODERS))
@click.option("--workers", type=int, help="Processes; default: one for each core.")
@click.option("--bound", default=HANG_SECONDS, show_default=True, help="Seconds until a file counts as a hang.")
def fuzz(
    *,
    seeds: int,
    first: int,
    seed: int | None,
    container: str | None,
    decoder: Decoder,
    workers: int | None,
    bound: float,
) -> None:
    """Explain damaged files and count the outcomes."""
    numbers = range(first, first + seeds) if seed is None else range(seed, seed + 1)
    cases = cases_for(numbers, decoder=decoder, container=container)
    started = time.perf_counter()
    with click.progressbar(run(cases, workers=workers, hang_seconds=bound), len(cases), file=sys.stderr) as bar:
        outcomes = list(bar)
    if seed is None:
        _table("container", outcomes, lambda outcome: outcome.case.container)
        _table("mutation", outcomes, lambda outcome: outcome.mutation.partition(" + ")[0])
    for outcome in outcomes:
        if outcome.is_bad or seed is not None:
            _report(outcome)
    bad, slowest = sum(outcome.is_bad for outcome in outcomes), max(outcome.seconds for outcome in outcomes)
    click.echo(
        f"{len(outcomes)} files in {time.perf_counter() - started:.0f} s, the slowest {slowest:.1f} s; {bad} bad"
    )
    sys.exit(1 if bad else 0)


def _table(name: str, outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> None:
    """Print a row for each value of `key` and a column for each kind of outcome."""
    counts = Counter((key(outcome), outcome.kind) for outcome in outcomes)
    kinds, names = [*GOOD, *BAD], sorted({key(outcome) for outcome in outcomes})
    rows = [(row, *(str(counts[row, kind]) for kind in kinds)) for row in names]
    total = ("all", *(str(sum(outcome.kind == kind for outcome in outcomes)) for kind in kinds))
    click.echo("\n".join([*table((name, *kinds), [*rows, total]), ""]))


def _report(outcome: Outcome) -> None:
    case = outcome.case
    click.echo(f"{outcome.kind}: {case.container}, {outcome.mutation}, {outcome.seconds:.1f} s")
    for line in outcome.text.strip().splitlines()[-4:] if outcome.text else []:
        click.echo(f"    {line}")
    decoder = "" if case.decoder == "auto" else f" --decoder {case.decoder}"
    click.echo(f"    scripts/run bench fuzz --seed {case.seed} --container {case.container}{decoder}")
