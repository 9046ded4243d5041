"""Use hostile result files, manifests, weights and score folders: a table of outcomes, and each bad one with its seed.

A seed gives the same file each time. The exit code is 1 if any outcome is bad: a crash, a hang, too much memory or a
traceback.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import click

from scripts.markdown import table
from tests.helpers.hostile import BAD, KINDS, MOST_SECONDS, Use, use

CRASH = "crash"


@click.command("fuzz-files")
@click.option("--seeds", default=200, show_default=True, help="Number of files of each kind.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), default=tuple(KINDS), help="Repeatable."
)
def fuzz_files(*, seeds: int, first: int, kinds: tuple[str, ...]) -> None:
    """Use hostile files that are not media, and count the outcomes."""
    outcomes: dict[str, list[Use]] = {}
    for kind in kinds:
        outcomes[kind] = []
        for seed in range(first, first + seeds):
            outcomes[kind].append(outcome := _Process.use(kind, seed))
            if seed % 50 == 0:
                click.echo(f"{kind}: seed {seed}", err=True)
            if outcome.kind in (*BAD, CRASH):
                click.echo(f"{outcome.kind}: scripts/run bench fuzz-files --kind {kind} --first {seed} --seeds 1")
                click.echo("\n".join(f"    {line}" for line in outcome.text.strip().splitlines()[-6:]))
    names = ("used", "refused", *BAD, CRASH)
    rows = []
    for kind, uses in outcomes.items():
        counts = Counter(each.kind for each in uses)
        slowest, largest = max(each.seconds for each in uses), max(each.mebibytes for each in uses)
        rows.append((kind, str(len(uses)), *(str(counts[name]) for name in names), f"{slowest:.1f}", str(largest)))
    click.echo("\n".join(table(("kind", "files", *names, "slowest, s", "largest, MiB"), rows)))
    sys.exit(any(each.kind in (*BAD, CRASH) for uses in outcomes.values() for each in uses))


class _Process:
    """A process that uses files, made anew when one takes it down."""

    pool: ProcessPoolExecutor | None = None

    @classmethod
    def use(cls, kind: str, seed: int) -> Use:
        """Use a file there."""
        if cls.pool is None:
            cls.pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return cls.pool.submit(_use_in_time, kind, seed).result()
        except BrokenProcessPool as exc:
            cls.pool = None
            return Use(CRASH, str(exc), 0.0, 0)


def _use_in_time(kind: str, seed: int) -> Use:
    import torch

    torch.set_num_threads(1)
    signal.alarm(int(3 * MOST_SECONDS))  # ends the process
    try:
        return use(kind, seed)
    finally:
        signal.alarm(0)
