"""Rows of pictures in one JPEG, and frames with maps over them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vidcam.maps import Floats
from vidcam.media import Frames
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Overlay

GAP, LINE = 6, 30
NAME, REMARK, GREY = TextStyle(16, bold=True), TextStyle(14, "#9a3324"), TextStyle(15, "#5c6068")


def square(frame: Frames, side_px: int, *, is_map: bool = False) -> Frames:
    """Resize a frame to a square; the cells of a map keep their edges."""
    way = Image.Resampling.NEAREST if is_map else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(frame).resize((side_px, side_px), way))


def overlaid(frame: Frames, heat: Floats) -> Frames:
    """Draw a map over a frame of its size."""
    height, width = frame.shape[:2]
    view = slice(0, height), slice(0, width)
    return Overlay(colour_table()).blend(frame, heat.astype(np.float32), view)


def captioned(rows: Sequence[Mapping[str, Frames]], remarks: Sequence[Mapping[str, str]], path: Path) -> None:
    """Draw rows of squares, each with its name and remark above."""
    side = next(iter(rows[0].values())).shape[0]
    pitch, page = side + GAP + LINE, Canvas(len(rows[0]) * (side + GAP) - GAP)
    for number, (row, remark) in enumerate(zip(rows, remarks, strict=True)):
        for column, (name, picture) in enumerate(row.items()):
            left, top = column * (side + GAP), number * pitch
            page.text(left + 2, top + 3, name, NAME)
            page.text(left + side - 2, top + 4, remark.get(name, ""), REMARK, align="right")
            page.picture(left, top + LINE, picture)
    _save(page, len(rows) * pitch - GAP, path)


def table(rows: Mapping[str, Mapping[str, Frames]], gutter_px: int, path: Path) -> None:
    """Draw named rows of squares below the names of the columns."""
    first = next(iter(rows.values()))
    side = next(iter(first.values())).shape[0]
    page = Canvas(gutter_px + len(first) * (side + GAP) - GAP)
    for column, name in enumerate(first):
        page.text(gutter_px + column * (side + GAP) + 2, 3, name, NAME)
    for number, (name, row) in enumerate(rows.items()):
        top = LINE + number * (side + GAP)
        for line, word in enumerate(name.split(" ", 1)):
            page.text(gutter_px - 10, top + side / 2 - 20 + 20 * line, word, GREY, align="right")
        for column, picture in enumerate(row.values()):
            page.picture(gutter_px + column * (side + GAP), top, picture)
    _save(page, LINE + len(rows) * (side + GAP) - GAP, path)


def _save(page: Canvas, height_px: int, path: Path) -> None:
    Image.open(io.BytesIO(page.to_png(height_px))).convert("RGB").save(path, quality=80, optimize=True)
