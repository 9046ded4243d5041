"""Use thousands of hostile and damaged files: a table of outcomes, and each bad one with the command that repeats it.

A seed gives the same file each time. The exit code is 1 if any outcome is bad: a crash, a hang, too much memory, a
traceback or a malformed result.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from scripts.markdown import table
from tests.helpers.fuzz import BAD, GOOD, KINDS, MEDIA, Case, Outcome, cases_for
from tests.helpers.fuzz_workers import run
from tests.helpers.mutations import CONTAINERS
from vidcam.video.reader import DECODERS, Decoder


@click.command()
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), default=KINDS, help="Repeatable.")
@click.option("--seeds", default=200, show_default=True, help="Number of files of each kind.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--container", type=click.Choice(CONTAINERS), help="Only this container; else they take turns.")
@click.option("--decoder", default="auto", show_default=True, type=click.Choice(DECODERS), help="Reads the media.")
@click.option("--workers", type=int, help="Processes; default: one for each core.")
@click.option("--log", type=click.Path(path_type=Path), help="Add each outcome to this file, and skip those in it.")
def fuzz(
    *,
    kinds: tuple[str, ...],
    seeds: int,
    first: int,
    container: str | None,
    decoder: Decoder,
    workers: int | None,
    log: Path | None,
) -> None:
    """Use hostile media, results, manifests, weights and score folders, and count the outcomes."""
    seed_range = range(first, first + seeds)
    cases = [case for kind in kinds for case in cases_for(kind, seed_range, decoder=decoder, container=container)]
    with click.progressbar(_outcomes(cases, workers=workers, log=log), len(cases), file=sys.stderr) as bar:
        outcomes = list(bar)
    media = [outcome for outcome in outcomes if outcome.case.kind == MEDIA]
    _print_table("kind", outcomes, lambda outcome: outcome.case.kind)
    if media:
        _print_table("media", media, lambda outcome: outcome.case.container)
        _print_table("damage to media", media, lambda outcome: outcome.damage.partition(" + ")[0])
    for outcome in outcomes:
        if outcome.is_bad or seeds == 1:
            _print_outcome(outcome)
    sys.exit(any(outcome.is_bad for outcome in outcomes))


def _outcomes(cases: Sequence[Case], *, workers: int | None, log: Path | None) -> Iterator[Outcome]:
    """The outcomes of the log, then those of the other cases, each added to it."""
    logged: dict[Case, Outcome] = {}
    if log is not None and log.exists():
        for line in log.read_text("utf-8").splitlines():
            entry = json.loads(line)
            case = Case(**entry.pop("case"))
            logged[case] = Outcome(case, **entry)
    yield from (logged[case] for case in cases if case in logged)
    for outcome in run([case for case in cases if case not in logged], workers=workers):
        if log is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
        yield outcome


def _print_table(name: str, outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> None:
    """Print a row for each value of `key`: how many files, their outcomes, and the largest time and memory."""
    rows = [_row(row, [each for each in outcomes if key(each) == row]) for row in dict.fromkeys(map(key, outcomes))]
    rows += [_row("all", outcomes)] if len(rows) > 1 else []
    header = (name, "tried", "survived", *GOOD, *BAD, "slowest, s", "most memory, MiB")
    click.echo("\n".join([*table(header, rows), ""]))


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    counts = Counter(outcome.result for outcome in outcomes)
    survived = sum(not outcome.is_bad for outcome in outcomes)
    slowest, most = max(each.seconds for each in outcomes), max(each.mebibytes for each in outcomes)
    results = (str(counts[result]) for result in (*GOOD, *BAD))
    return (name, str(len(outcomes)), str(survived), *results, f"{slowest:.1f}", f"{most:.0f}")


def _print_outcome(outcome: Outcome) -> None:
    case = outcome.case
    damage = ", ".join(part for part in (case.container, outcome.damage) if part)
    click.echo(f"{outcome.result}: {damage or case.kind}, {outcome.seconds:.1f} s, {outcome.mebibytes:.0f} MiB")
    for line in outcome.text.strip().splitlines()[-6:]:
        click.echo(f"    {line}")
    container = f" --container {case.container} --decoder {case.decoder}" if case.container else ""
    click.echo(f"    scripts/run bench fuzz --kind {case.kind} --first {case.seed} --seeds 1{container}")
