"""What a notebook shows: videos and pictures inside a page, and an explanation without footage as a page of maps."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vidcam.errors import ShapeError
from vidcam.maps import Floats
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import ColourTable, colour_table
from vidcam.render.overlay import Frame

MOST_BYTES = 30_000_000
"""Of a file that is put into a page whole."""

COLUMNS = 8
"""Frames of a clip that are shown at most, evenly."""

_KINDS = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
_WIDTH, _MARGIN, _GAP = 1200, 24, 6
_TITLE, _SOFT, _ROW = TextStyle(20, bold=True), TextStyle(16, "#5c6068"), TextStyle(17, bold=True)


def html_of(path: Path) -> str | None:
    """A video or picture as HTML that needs no other file; None where it is none, too large or gone."""
    kind = _KINDS.get(path.suffix.lower())
    try:
        if kind is None or path.stat().st_size > MOST_BYTES:
            return None
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return None
    source = f'src="data:{kind};base64,{data}" style="max-width:100%"'
    return f"<video controls loop muted {source}></video>" if kind.startswith("video") else f"<img {source}>"


def maps_page(rows: Mapping[str, Floats], *, title: str, subtitle: str) -> bytes:
    """Maps of one clip: methods × frames, on the colour scale of evidence.

    Args:
        rows: method → (T, H, W) in [0, 1], all of one shape.
        title: what was explained.
        subtitle: how.

    Returns:
        A PNG file.

    Raises:
        ShapeError: no rows, or not of one shape.
    """
    shapes = {heat.shape for heat in rows.values()}
    if len(shapes) != 1 or any(len(shape) != 3 for shape in shapes):
        raise ShapeError(f"a page of maps needs rows of one shape (T, H, W), got {shapes or 'none'}")
    ((length, height, width),) = shapes
    chosen = np.unique(np.linspace(0, length - 1, min(length, COLUMNS)).round().astype(int))
    canvas, table, y = Canvas(_WIDTH), colour_table(), _MARGIN
    canvas.text(_MARGIN, y, canvas.elide(title, _TITLE, _WIDTH - 2 * _MARGIN), _TITLE)
    y += _TITLE.line_px
    canvas.text(_MARGIN, y, canvas.elide(subtitle, _SOFT, _WIDTH - 2 * _MARGIN), _SOFT)
    y += _SOFT.line_px + _GAP
    cell = (_WIDTH - 2 * _MARGIN) // chosen.size - _GAP
    step = max(1, -(-width // cell))
    for name, heat in rows.items():
        canvas.text(_MARGIN, y, name, _ROW)
        y += _ROW.line_px
        for column, index in enumerate(chosen.tolist()):
            canvas.picture(_MARGIN + column * (cell + _GAP), y, _cell(heat[index, ::step, ::step], cell, table))
        y += -(-height // step) * _scale(-(-width // step), cell) + 2 * _GAP
    return canvas.to_png(y + _MARGIN)


def _cell(heat: Floats, width_px: int, table: ColourTable) -> Frame:
    """Each value a square of whole pixels."""
    picture = table[np.round(heat * 255.0).astype(np.uint8)]
    scale = _scale(heat.shape[1], width_px)
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def _scale(width: int, width_px: int) -> int:
    return max(1, width_px // width)
