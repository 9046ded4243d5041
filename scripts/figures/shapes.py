"""The figure of docs/images.md: images of the shape set, and their maps by two methods and both networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from scripts.figures.sheets import overlaid, square, table
from scripts.research.several_instances import ExplainedImage, explain_images
from vidcam.media import Frames
from vidcam.models.families.tiny import SHAPE_SPECS
from vidcam.models.registry import load_model

METHODS = ("gradcam", "gradcam++")
IMAGES, COLUMNS, SIDE, GUTTER = 96, 8, 120, 120


def draw_shapes(out: Path) -> None:
    """Write images-shapes.jpg: the first images of two to four shapes that both networks predict correctly."""
    explained: dict[str, dict[bytes, ExplainedImage]] = {}
    for spec in SHAPE_SPECS:
        entries = explain_images(load_model(spec.name, device="cpu"), IMAGES)
        explained[spec.name] = {entry.image.pixels.tobytes(): entry for entry in entries}
    first, second = explained.values()
    both = [key for key, entry in first.items() if key in second and len(entry.image.labels) > 1]
    shown = both[:: max(1, len(both) // COLUMNS)][:COLUMNS]
    rows: dict[str, dict[str, Frames]] = {"image": {}}
    for number, key in enumerate(shown):
        image = first[key].image
        rows["image"][str(number)] = square(_outlined(image.pixels, image.masks), SIDE)
        for name, by_pixels in explained.items():
            for method in METHODS:
                drawn = _outlined(overlaid(image.pixels, by_pixels[key].heats[method][0]), image.masks)
                rows.setdefault(f"{name} {method}", {})[str(number)] = square(drawn, SIDE)
    table(rows, GUTTER, out / "images-shapes.jpg")


def _outlined(pixels: Frames, masks: NDArray[np.bool_]) -> Frames:
    """Draw a white line around each shape."""
    drawn = pixels.copy()
    for mask in masks:
        drawn[binary_dilation(mask) & ~mask] = 255
    return drawn
