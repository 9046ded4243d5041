"""Thousands of damaged files through the whole pipeline: two tables of outcomes, and every bad one with its command.

A seed makes the same file each time. Exit code 1 if any outcome is bad: a crash, a hang, too much memory, a traceback,
or a result that is wrong in form.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from scripts.markdown import table
from tests.helpers.fuzz import BAD, GOOD, HANG_SECONDS, Case, Outcome, cases_for, run
from tests.helpers.mutations import CONTAINERS, mutated, write_case
from vidcam.video.reader import DECODERS, Decoder

_MOST_LINES = 4


@click.command()
@click.option("--seeds", default=1000, show_default=True, help="How many files, the containers in turn.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--seed", type=int, help="This one file alone.")
@click.option("--container", type=click.Choice(CONTAINERS), help="Of this container alone.")
@click.option("--decoder", default="auto", show_default=True, type=click.Choice(DECODERS))
@click.option("--workers", type=int, help="Processes at once; one for each core if left away.")
@click.option("--bound", default=HANG_SECONDS, show_default=True, help="Seconds after which a file hangs.")
@click.option("--keep", type=click.Path(path_type=Path), metavar="FILE", help="With --seed: leave the file here.")
def fuzz(
    *,
    seeds: int,
    first: int,
    seed: int | None,
    container: str | None,
    decoder: Decoder,
    workers: int | None,
    bound: float,
    keep: Path | None,
) -> None:
    """Explain damaged files and count the outcomes."""
    chosen = range(first, first + seeds) if seed is None else range(seed, seed + 1)
    cases = cases_for(chosen, decoder=decoder, container=container)
    if keep is not None:
        _keep(cases[0], keep)
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


def _keep(case: Case, path: Path) -> None:
    """Leave a case's file, or its folder of images, at a path."""
    if path.exists():
        raise click.UsageError(f"{path} exists already; choose a new name")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".making")
    beside.mkdir()
    write_case(case.container, mutated(case.container, case.seed)[1], beside).rename(path)
    shutil.rmtree(beside)


def _table(name: str, outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> None:
    """One row for each value of `key`, one column for each kind of outcome."""
    counts = Counter((key(outcome), outcome.kind) for outcome in outcomes)
    kinds, names = [*GOOD, *BAD], sorted({key(outcome) for outcome in outcomes})
    rows = [(row, *(str(counts[row, kind]) for kind in kinds)) for row in names]
    total = ("all", *(str(sum(outcome.kind == kind for outcome in outcomes)) for kind in kinds))
    click.echo("\n".join([*table((name, *kinds), [*rows, total]), ""]))


def _report(outcome: Outcome) -> None:
    case = outcome.case
    click.echo(f"{outcome.kind}: {case.container}, {outcome.mutation}, {outcome.seconds:.1f} s")
    for line in outcome.text.strip().splitlines()[-_MOST_LINES:] if outcome.text else []:
        click.echo(f"    {line}")
    decoder = "" if case.decoder == "auto" else f" --decoder {case.decoder}"
    click.echo(f"    scripts/run bench fuzz --seed {case.seed} --container {case.container}{decoder} --keep FILE")
