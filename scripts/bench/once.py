"""One measurement in a process of its own; prints JSON on its last line. Nothing is imported that it does not need."""

from __future__ import annotations

import gc
import json
import warnings
from pathlib import Path

import click

from scripts.bench.processes import peak_megabytes

PATH = click.Path(path_type=Path)


@click.group()
def once() -> None:
    """Figures as JSON."""
    warnings.simplefilter("ignore")


@once.command()
@click.argument("name")
@click.option("--runs", type=int)
@click.option("--network", "networks", multiple=True, required=True)
def case(name: str, runs: int | None, networks: tuple[str, ...]) -> None:
    """The tables of a case of `results`."""
    from scripts.bench.cases import CASES

    found = CASES[name].run(networks, runs or CASES[name].runs)
    click.echo(json.dumps([table.document() for table in found] if isinstance(found, list) else found))


@once.command()
@click.argument("network")
@click.argument("entry")
def peak(network: str, entry: str) -> None:
    """Peak memory of a process that does one thing three times."""
    from scripts.bench.maps import memory_work

    work = memory_work(network, entry)
    gc.collect()
    for _ in range(3):
        work()
    _print_peak()


@once.command()
@click.argument("source", type=PATH)
@click.argument("out", type=PATH)
def explain(source: Path, out: Path) -> None:
    """`explain` with tiny_r3d."""
    import vidcam

    vidcam.explain_video(source, out, model="tiny_r3d")
    _print_peak()


@once.command()
@click.argument("saved", type=PATH)
@click.argument("out", type=PATH)
def render(saved: Path, out: Path) -> None:
    """`render --strip`."""
    import vidcam

    vidcam.render_video(saved, out.with_suffix(".mp4"), strip=True, overwrite=True)
    _print_peak()


@once.command()
@click.argument("manifest", type=PATH)
@click.argument("out", type=PATH)
def score(manifest: Path, out: Path) -> None:
    """`score` with tiny_r3d; a line for each clip."""
    import vidcam

    vidcam.score_clips(manifest, out, model="tiny_r3d", progress=lambda stage, *_: print(stage, flush=True))
    _print_peak()


def _print_peak() -> None:
    click.echo(json.dumps({"megabytes": peak_megabytes()}))


if __name__ == "__main__":
    once()
