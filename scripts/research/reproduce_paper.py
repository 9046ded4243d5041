"""Lay the tables of both papers beside what one network gives on your copies of their data.

    scripts/run research.reproduce_paper -o OUT                                        # the shape set, which is made
    scripts/run research.reproduce_paper -o OUT --imagenet FOLDER --weights vgg16.pth
    scripts/run research.reproduce_paper -o OUT --voc VOC2012/ImageSets/Main/val.txt --weights voc.pth --labels voc.txt
    scripts/run research.reproduce_paper -o OUT --videos SET --model c3d_sports1m --weights c3d.pth

Each call scores one network, and OUT/tables.md shows all that was scored in OUT. A call that was interrupted goes on.
ImageNet and videos are explained for the predicted class (GC++ 4.1). VOC is explained for each label among the five
most probable classes (GC++ 4.3), by a network that was trained on its classes.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click

import vidcam
from scripts.research.paper_tables import MEASURES, METHODS, Run, document, read_run
from vidcam.models.families.tiny import SHAPE_SPECS
from vidcam.pipelines.score.clips import LABEL_IN_TOP
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.study.shape_set import one_class, two_classes, write_shape_set

MADE = "shape set"
KINDS = {"imagenet": "ImageNet", "voc": "VOC", "videos": "videos", "shapes": MADE}
"""Beginning of a folder in OUT → kind of the data, as `papers` names it."""

FIRST_SEED = 600_000

PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder of all scores.")
@click.option("--voc", type=PATH, help="A folder of Pascal VOC, or the list of its images.")
@click.option("--imagenet", type=PATH, help="A folder of images, as the validation set of ILSVRC 2012.")
@click.option("--videos", type=PATH, help="A set of clips, as `vidcam score` takes it.")
@click.option("--model", default="torchvision:vgg16", show_default=True)
@click.option("--weights", default="pretrained", show_default=True, help="File of weights.")
@click.option("--labels", type=PATH, help="Labels of the network, if it was trained on other classes.")
@click.option("--device", default="auto", show_default=True)
@click.option("--images", type=click.IntRange(8), default=192, show_default=True, help="Images of the shape set.")
def reproduce_paper(
    out: Path,
    *,
    voc: Path | None,
    imagenet: Path | None,
    videos: Path | None,
    model: str,
    weights: str,
    labels: Path | None,
    device: str,
    images: int,
) -> None:
    """Score a network by the methods of the papers, and write their tables beside ours."""
    sets = {"voc": voc, "imagenet": imagenet, "videos": videos}
    jobs = [(kind, path, model, weights, labels) for kind, path in sets.items() if path is not None]
    try:
        if not jobs:
            made = _shape_set(out / "made" / str(images), images)
            jobs = [("shapes", made, spec.name, "pretrained", None) for spec in SHAPE_SPECS]
        for kind, path, name, file, names in jobs:
            most = LABEL_IN_TOP if kind in ("voc", "shapes") else 0
            options = ScoreOptions(methods=METHODS, measures=MEASURES, label_in_top=most)
            folder = out / f"{kind}_{re.sub(r'[^a-z0-9]+', '-', name.casefold())}"
            command = shlex.join(["scripts/run", "research.reproduce_paper", *sys.argv[1:]])
            score_set(path, folder, options, model=name, weights=file, labels=names, device=device, command=command)
    except vidcam.VidcamError as exc:
        raise click.ClickException(str(exc)) from exc
    page = "\n\n".join(document(_runs(out)))
    (out / "tables.md").write_text(page + "\n", "utf-8")
    click.echo(page)


def _shape_set(folder: Path, images: int) -> Path:
    """Write the shape set once: two thirds of the images with one class, one third with two."""
    if folder.is_dir():
        return folder
    pairs = images // 3
    one, two = one_class(images - pairs, first_seed=FIRST_SEED), two_classes(pairs, first_seed=FIRST_SEED + images)
    return write_shape_set([*one, *two], folder)


def _runs(out: Path) -> list[Run]:
    """Read what was scored in a folder."""
    folders = [path.parent for path in sorted(out.glob("*/summary.json"))]
    kinds = [KINDS.get(folder.name.partition("_")[0]) for folder in folders]
    return [read_run(kind, folder) for kind, folder in zip(kinds, folders, strict=True) if kind]


if __name__ == "__main__":
    reproduce_paper()
