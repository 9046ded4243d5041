"""Write images of the shape set as files, with boxes in the formats of Pascal VOC, COCO and `vidcam score`."""

from __future__ import annotations

from pathlib import Path

import click

from vidcam.pipelines.study.shape_set import one_class, two_classes, write_shape_set


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--images", default=64, show_default=True)
@click.option("--first-seed", default=0, show_default=True, help="Seeds below 1,000,000 are not trained on.")
@click.option("--classes", type=click.Choice(["1", "2"]), default="1", show_default=True, help="Classes in an image.")
def shape_set(out: Path, *, images: int, first_seed: int, classes: str) -> None:
    """Write images into OUT, a new folder."""
    requests = (one_class if classes == "1" else two_classes)(images, first_seed=first_seed)
    click.echo(write_shape_set(requests, out))


if __name__ == "__main__":
    shape_set()
