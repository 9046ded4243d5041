"""The figure of the worked example of Grad-CAM++ (fig. 2), with what its critics object: docs/footprints.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vidcam
from tests.helpers.footprints import GRID, FootprintNet, footprints
from vidcam.render.canvas import Canvas, TextStyle

CELL, GAP, TITLE = 30, 26, 48
NAME, REMARK = TextStyle(16, bold=True), TextStyle(14, "#5c6068")
DARK, LIGHT, LINE = (30, 60, 110), (255, 255, 255), "#d5d8de"

Plane = NDArray[np.floating]


def draw_footprints(out: Path) -> None:
    """Write footprints.png: six maps of the three objects, each value divided by the map's maximum."""
    plain, weak, pooled = FootprintNet(), FootprintNet(scale=0.01), FootprintNet(pooled=True)
    maps = footprints()[0, :, 0].numpy()
    panels = {
        ("three feature maps", "15, 4 and 2 of 80 cells are 1"): maps.sum(axis=0),
        ("gradcam", "gradient 1 where A = 1, 0 elsewhere"): heat_of(plain, "gradcam"),
        ("gradcam++ by eq. 6", "α = 1/n, as in the paper's figure"): maps.sum(axis=0),
        ("gradcam++ by eq. 19", "α = 1/(2 + ΣA·g), the formula in use"): heat_of(plain, "gradcam++"),
        ("gradcam++ by eq. 19", "gradient 0.01, so α ≈ ½"): heat_of(weak, "gradcam++"),
        ("gradcam behind pooling", "gradient 1/80 everywhere"): heat_of(pooled, "gradcam"),
    }
    height, width = GRID[0] * CELL, GRID[1] * CELL
    page = Canvas(3 * (width + GAP) - GAP + 1)
    for number, ((name, remark), plane) in enumerate(panels.items()):
        left, top = number % 3 * (width + GAP), number // 3 * (height + TITLE + GAP)
        page.text(left, top, name, NAME)
        page.text(left, top + 23, remark, REMARK)
        draw_cells(page, left, top + TITLE, plane)
    (out / "footprints.png").write_bytes(page.to_png(2 * (height + TITLE) + GAP + 1))


def heat_of(network: FootprintNet, method: str) -> Plane:
    """A map of the example, (8, 10) in [0, 1]."""
    explanation = vidcam.explain(network, footprints(), layer="maps", methods=method, target=0)
    return np.asarray(explanation.heat(method)[0, 0])


def draw_cells(page: Canvas, left: int, top: int, plane: Plane) -> None:
    """Draw each value as a cell, darker where it is larger, and write it into the cell if it is not 0."""
    for (row, column), value in np.ndenumerate(plane):
        x, y = left + column * CELL, top + row * CELL
        shade = [round(light + (dark - light) * float(value)) for dark, light in zip(DARK, LIGHT, strict=True)]
        page.box(x, y, x + CELL + 1, y + CELL + 1, LINE)
        page.box(x + 1, y + 1, x + CELL, y + CELL, "#" + "".join(f"{part:02x}" for part in shade))
        if value > 0:
            text = "1" if value > 0.995 else f"{value:.2f}".removeprefix("0")
            page.text(x + CELL / 2, y + 6, text, TextStyle(12, "#ffffff" if value > 0.5 else "#1b1b1b"), align="center")
