"""Does Grad-CAM++ show several instances better on photographs, too? Mosaics of images of the user, with known truth.

Of each image that an image network predicts surely, mosaics of 2 × 2 tiles are made: one to four tiles show it (every
second one at half size, every second one mirrored), the others show images of other classes. A network with a pooled
head takes the double size. The mosaic is explained for the image's class if that is among the five most probable ones.
The measures are those of `several_instances`; regions are the tiles' images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from scripts.library import explainer
from scripts.research.several_instances import METHODS, ExplainedImage, document
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.motion.shapes import MAX_SHAPES, ShapeImage
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.samples import Sample, load_sample

SURE, TOP = 0.5, 5


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """An image that is predicted surely: model input (3, H, W), and its class."""

    pixels: Tensor
    label: int


@click.command()
@click.argument("clips", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "name", default="efficientnet_lite0", show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--seed", default=0, show_default=True)
def mosaics(clips: Path, *, name: str, device: str, seed: int) -> None:
    """Print the tables in Markdown for a set of CLIPS, as `vidcam score` takes it; of a video one frame is taken."""
    model = load_model(name, device=device)
    tiles = list(sure_tiles(model, clips))
    explained = list(explain_mosaics(model, tiles, seed=seed))
    click.echo(f"## {name}, {model.spec.layer}\n")
    click.echo(f"{len(tiles)} images are predicted with p >= {SURE:g}; {len(explained)} mosaics are explained.\n")
    click.echo("\n".join(document(explained, counts=(MAX_SHAPES - 1,))))


@torch.inference_mode()
def sure_tiles(model: Model, clips: Path) -> Iterator[Tile]:
    """Yield the images of a set that the model predicts with a probability of at least SURE."""
    for entry in read_clips(clips, out=Path("mosaics")).entries:
        sample = load_sample(entry, model.spec, model.device)
        if isinstance(sample, Sample):
            top = model.module(model.input_of(sample.tensor[None])).softmax(dim=1)[0].max(dim=0)
            if top.values >= SURE:
                yield Tile(sample.tensor[:, 0], int(top.indices))


def explain_mosaics(model: Model, tiles: Sequence[Tile], *, seed: int = 0) -> Iterator[ExplainedImage]:
    """Explain the mosaics of each image; yield those whose class is among the most probable ones."""
    height, width = model.spec.crop_size
    large = replace(model, spec=replace(model.spec, crop_size=(2 * height, 2 * width), resize=2 * height))
    explain = explainer(large, str(model.spec.layer), METHODS)
    generator = np.random.default_rng(seed)
    for tile in tiles:
        others = [other for other in tiles if other.label != tile.label]
        for count in range(1, MAX_SHAPES + 1):
            chosen = [others[index] for index in generator.choice(len(others), MAX_SHAPES - count, replace=False)]
            pixels, masks = mosaic(tile, chosen, generator.permutation(MAX_SHAPES).tolist())
            explanation = explain(model.input_of(pixels[None, :, None]), target=tile.label)
            logits = explanation.logits[0]
            if (logits > logits[tile.label]).sum() < TOP:
                image = ShapeImage(np.zeros((*masks.shape[1:], 3), np.uint8), (tile.label,) * count, masks)
                yield ExplainedImage(image, {method: explanation.heat(method)[0] for method in METHODS})


def mosaic(tile: Tile, others: Sequence[Tile], places: Sequence[int]) -> tuple[Tensor, NDArray[np.bool_]]:
    """Return the mosaic of an image with others, (3, 2H, 2W), and the places of its copies (M, 2H, 2W) bool.

    Args:
        tile: the image that fills the tiles the others leave.
        others: images of other classes, fewer than four.
        places: the four tiles, row by row, in the order in which they are filled, copies first.
    """
    _, height, width = tile.pixels.shape
    count = len(places) - len(others)
    canvas = torch.zeros(3, 2 * height, 2 * width, device=tile.pixels.device)  # near the dataset's mean
    masks = np.zeros((count, 2 * height, 2 * width), np.bool_)
    for number, place in enumerate(places):
        top, left = place // 2 * height, place % 2 * width
        pixels = tile.pixels if number < count else others[number - count].pixels
        if number < count and number % 2:
            pixels = functional.avg_pool2d(pixels.flip(-1), 2)
            top, left = top + height // 4, left + width // 4
        rows, columns = slice(top, top + pixels.shape[1]), slice(left, left + pixels.shape[2])
        canvas[:, rows, columns] = pixels
        if number < count:
            masks[number, rows, columns] = True
    return canvas, masks


if __name__ == "__main__":
    mosaics()
