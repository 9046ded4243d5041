"""The figure of docs/images.md: images of the shape set, and their maps by two methods at two layers of tiny_gap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from scripts.figures.sheets import overlaid, square, table
from scripts.research.several_instances import explain_images
from vidcam.media import Frames
from vidcam.models.registry import load_model

METHODS, LAYERS = ("gradcam", "gradcam++"), ("relu4", "relu3")
IMAGES, COLUMNS, SIDE, GUTTER = 48, 8, 120, 110


def draw_shapes(out: Path) -> None:
    """Write images-shapes.jpg: images of two to four shapes that the network predicts correctly, evenly drawn."""
    model = load_model("tiny_gap", device="cpu")
    rows: dict[str, dict[str, Frames]] = {"image": {}}
    for layer in LAYERS:
        several = [entry for entry in explain_images(model, IMAGES, layer) if len(entry.image.labels) > 1]
        for number, entry in enumerate(several[:: len(several) // COLUMNS][:COLUMNS]):
            pixels, masks = entry.image.pixels, entry.image.masks
            rows["image"][str(number)] = square(_outlined(pixels, masks), SIDE)
            for method in METHODS:
                drawn = _outlined(overlaid(pixels, entry.heats[method][0]), masks)
                rows.setdefault(f"{layer} {method}", {})[str(number)] = square(drawn, SIDE)
    table(rows, GUTTER, out / "images-shapes.jpg")


def _outlined(pixels: Frames, masks: NDArray[np.bool_]) -> Frames:
    """Draw a white line around each shape."""
    drawn = pixels.copy()
    for mask in masks:
        drawn[binary_dilation(mask) & ~mask] = 255
    return drawn
