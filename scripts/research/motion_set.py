"""Writes clips of the motion set as MP4s with a manifest, tubes and masks; see docs/motion.md."""

from __future__ import annotations

from pathlib import Path

import click

from vidcam.pipelines.study.motion_set import mixed, write_motion_set


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", type=int, default=80, show_default=True, help="Clips.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first; the others follow.")
@click.option("--actors", type=click.IntRange(1, 3), help="Default: one in 7 of 10 clips, two in 2, three in 1.")
@click.option("--scale", type=click.IntRange(1, 8), default=1, show_default=True, help="Pixels become squares.")
def motion_set(*, out: Path, count: int, seed: int, actors: int | None, scale: int) -> None:
    """Write clips into the folder OUT and print the manifest's path."""
    click.echo(str(write_motion_set(mixed(count, first_seed=seed, actors=actors), out, scale=scale)))


if __name__ == "__main__":
    motion_set()
