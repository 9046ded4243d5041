"""Show results in a notebook: embedded videos and pictures, and the maps of an explanation as one picture."""

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

MAX_BYTES = 30_000_000
"""Largest file that is embedded in a notebook."""

COLUMNS = 8
"""Largest number of frames that `maps_page` shows, at even distances."""

_MIME_TYPES = {
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
    """Embed a video or picture in HTML. Return None if the file is missing, too large, or of another type."""
    mime_type = _MIME_TYPES.get(path.suffix.lower())
    try:
        if mime_type is None or path.stat().st_size > MAX_BYTES:
            return None
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return None
    attributes = f'src="data:{mime_type};base64,{data}" style="max-width:100%"'
    if mime_type.startswith("video"):
        return f"<video controls loop muted {attributes}></video>"
    return f"<img {attributes}>"


def maps_page(rows: Mapping[str, Floats], *, title: str, subtitle: str) -> bytes:
    """Draw the maps of one clip, one row per method and one column per frame.

    Args:
        rows: method → (T, H, W) in [0, 1], all with the same shape.
        title: first line of text.
        subtitle: second line of text.

    Returns:
        A PNG file.

    Raises:
        ShapeError: there are no rows, or their shapes differ.
    """
    shapes = {heat.shape for heat in rows.values()}
    if len(shapes) != 1 or any(len(shape) != 3 for shape in shapes):
        raise ShapeError(f"all rows must have the same shape (T, H, W), got {shapes or 'no rows'}")
    ((length, height, width),) = shapes
    columns = np.unique(np.linspace(0, length - 1, min(length, COLUMNS)).round().astype(int))
    canvas, table, y = Canvas(_WIDTH), colour_table(), _MARGIN
    canvas.text(_MARGIN, y, canvas.elide(title, _TITLE, _WIDTH - 2 * _MARGIN), _TITLE)
    y += _TITLE.line_px
    canvas.text(_MARGIN, y, canvas.elide(subtitle, _SOFT, _WIDTH - 2 * _MARGIN), _SOFT)
    y += _SOFT.line_px + _GAP
    cell_width = (_WIDTH - 2 * _MARGIN) // columns.size - _GAP
    step = max(1, -(-width // cell_width))
    for name, heat in rows.items():
        canvas.text(_MARGIN, y, name, _ROW)
        y += _ROW.line_px
        for column, index in enumerate(columns.tolist()):
            cell = _draw_cell(heat[index, ::step, ::step], cell_width, table)
            canvas.picture(_MARGIN + column * (cell_width + _GAP), y, cell)
        y += -(-height // step) * _scale(-(-width // step), cell_width) + 2 * _GAP
    return canvas.to_png(y + _MARGIN)


def _draw_cell(heat: Floats, width_px: int, table: ColourTable) -> Frame:
    """Draw one plane of a map. Each value is a square of pixels."""
    picture = table[np.round(heat * 255.0).astype(np.uint8)]
    scale = _scale(heat.shape[1], width_px)
    return picture.repeat(scale, axis=0).repeat(scale, axis=1)


def _scale(width: int, width_px: int) -> int:
    return max(1, width_px // width)
