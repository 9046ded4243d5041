"""Does Grad-CAM++ show several instances of a class better than Grad-CAM, as GC++ 3.1 claims?

Images of the shape set with one to four shapes of one class, explained for that class. An image counts if the network
predicts the class. Differences are taken image by image. Intervals are 95 % bootstrap intervals over images.

found          share of the instances of which the map covers a quarter or more, cut at the area of all instances
coverage       share of an instance that this cut map covers, mean over the instances
smallest       the same of the smallest instance, whose footprint GC++ 3.1 says fades away
weakest peak   maximum of the map inside the instance where it is lowest; 1 is the maximum of the map
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import click
import numpy as np
import torch
from numpy.typing import NDArray

from scripts.library import explainer
from scripts.markdown import table
from scripts.research.groundtruth import interval
from scripts.research.train_shapes import to_input
from vidcam.maps import Floats
from vidcam.metrics.instances import instance_coverage, peaks, recall
from vidcam.metrics.localization import energy, localization, pointing
from vidcam.models.families.tiny import SHAPE_SPECS
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.motion.shapes import MAX_SHAPES, ShapeImage
from vidcam.pipelines.study.shape_set import one_class

FIRST_SEED = 500_000
METHODS = ("gradcam", "gradcam+", "gradcam++", "gradcam++signed", "layercam", "hirescam", "neutral-gradcam")
COMPARED = (("gradcam++", "gradcam"), ("gradcam+", "gradcam"), ("gradcam++", "gradcam+"))
COLUMNS = ("found", "coverage", "smallest", "weakest peak", "Loc(0.25)", "pointing", "energy")
NAMES = tuple(spec.name for spec in SHAPE_SPECS)
BATCH = 40

Values = Mapping[str, NDArray[np.float64]]
"""Column → (N,)."""


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedImage:
    """An image that is predicted correctly, and its maps: method → (1, H, W) in [0, 1]."""

    image: ShapeImage
    heats: Mapping[str, Floats]


@click.command()
@click.option("--model", "names", multiple=True, type=click.Choice(NAMES), default=NAMES, help="Default: all.")
@click.option("--layer", help="Default: the model's own.")
@click.option("--images", type=click.IntRange(MAX_SHAPES), default=640, show_default=True)
def several_instances(*, names: Sequence[str], layer: str | None, images: int) -> None:
    """Print the tables in Markdown."""
    for name in names:
        model = load_model(name, device="cpu")
        explained = list(explain_images(model, images, layer))
        click.echo(f"## {name}, {layer or model.spec.layer}\n")
        click.echo(f"{len(explained)} of {images} images are predicted correctly.\n")
        click.echo("\n".join(document(explained)) + "\n")


def explain_images(model: Model, count: int, layer: str | None = None) -> Iterator[ExplainedImage]:
    """Explain images for their true class; yield those that are predicted correctly."""
    explain = explainer(model, layer or str(model.spec.layer), METHODS)
    requests = one_class(count, first_seed=FIRST_SEED)
    for start in range(0, count, BATCH):
        images = [request.image() for request in requests[start : start + BATCH]]
        pixels = torch.from_numpy(np.stack([image.pixels for image in images])).permute(0, 3, 1, 2)
        explanation = explain(to_input(pixels)[:, :, None], target=[image.labels[0] for image in images])
        heats = {method: explanation.heat(method) for method in METHODS}
        for index, image in enumerate(images):
            if explanation.logits[index].argmax() == image.labels[0]:
                yield ExplainedImage(image, {method: heat[index] for method, heat in heats.items()})


def document(explained: Sequence[ExplainedImage], *, counts: Sequence[int] = (2, 3, 4)) -> Iterator[str]:
    """The tables of one network: each method on images of so many instances, then the differences by their number."""
    several = [entry for entry in explained if len(entry.image.labels) in counts]
    measured = {method: measures(several, method) for method in METHODS}
    yield f"{', '.join(map(str, counts))} instances, {len(several)} images:\n"
    rows = [(method, *(interval(values[column]) for column in COLUMNS)) for method, values in measured.items()]
    yield from table(("method", *COLUMNS), rows)
    for a, b in COMPARED:
        yield f"\n{a} - {b}, by number of instances:\n"
        rows = []
        for count in range(1, MAX_SHAPES + 1):
            part = [entry for entry in explained if len(entry.image.labels) == count]
            ours, theirs = measures(part, a), measures(part, b)
            cells = (interval(ours[column] - theirs[column], sign="+") for column in COLUMNS)
            rows.append((str(count), str(len(part)), *cells))
        yield from table(("instances", "n", *COLUMNS), rows)


def measures(explained: Sequence[ExplainedImage], method: str) -> Values:
    """Measure the maps of a method: column → (N,)."""
    rows = [_measures(entry.heats[method], entry.image) for entry in explained]
    return {column: np.array([row[column] for row in rows]) for column in COLUMNS}


def _measures(heat: Floats, image: ShapeImage) -> Mapping[str, float]:
    """Measure one map. Regions are the shapes' own pixels; Loc(δ) takes their boxes, as GC++ 4.3 does."""
    instances = image.masks[:, None]
    covered = instance_coverage(heat, instances)
    inside, boxes = np.asarray(instances.any(axis=0))[None], filled_boxes(image)[None, None]
    return {
        "found": recall(covered),
        "coverage": float(covered.mean()),
        "smallest": float(covered[image.masks.sum(axis=(1, 2)).argmin()]),
        "weakest peak": float(peaks(heat, instances).min()),
        "Loc(0.25)": float(localization(heat[None], boxes, 0.25)[0]),
        "pointing": float(pointing(heat[None], inside)[0]),
        "energy": float(energy(heat[None], inside)[0]),
    }


def filled_boxes(image: ShapeImage) -> NDArray[np.bool_]:
    """Return the boxes of all shapes as one region, (H, W)."""
    region = np.zeros(image.masks.shape[1:], np.bool_)
    for left, top, width, height in image.boxes.tolist():
        region[top : top + height, left : left + width] = True
    return region


if __name__ == "__main__":
    several_instances()
