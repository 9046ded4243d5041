"""Write clips of the motion set as MP4s with a manifest, tubes and masks (docs/motion.md)."""

from __future__ import annotations

from pathlib import Path

import click

from vidcam.pipelines.study.motion_set import mixed, write_motion_set


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", type=int, default=80, show_default=True, help="Number of clips.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the first clip; the others follow.")
@click.option("--actors", type=click.IntRange(1, 3), help="Default: 1, 2 and 3 in 70, 20 and 10 %.")
@click.option(
    "--scale",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    help="Enlargement factor.",
)
def motion_set(*, out: Path, count: int, seed: int, actors: int | None, scale: int) -> None:
    """Write clips into the folder OUT and print the manifest's path."""
    click.echo(str(write_motion_set(mixed(count, first_seed=seed, actors=actors), out, scale=scale)))


if __name__ == "__main__":
    motion_set()
