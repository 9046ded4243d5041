"""Show results in a notebook: embedded videos and pictures, and the maps of an explanation as one picture."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcam.maps import Floats
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Frame, overlay
from vidcam.render.verdict_text import ON_WHITE, signed_word
from vidcam.results.verdict import Verdict

MAX_BYTES = 30_000_000
"""Largest file that is embedded in a notebook."""

_MIME_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
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


def html_of_verdicts(verdicts: Sequence[tuple[str, Verdict]], remarks: Sequence[str]) -> str:
    """Write the verdict on each map as a line of HTML, and the remarks below them."""
    lines = [
        f'<b>{escape(name)}</b> <b style="color:{ON_WHITE[verdict.word]}">{escape(signed_word(verdict.word))}</b> '
        f"{escape(verdict.reason)}"
        for name, verdict in verdicts
    ]
    return f'<div style="background:#fff;color:#1b1b1b">{"<br>".join([*lines, *map(escape, remarks)])}</div>'


def maps_page(
    rows: Mapping[str, Floats], frames: NDArray[np.uint8] | None = None, *, title: str, subtitle: str
) -> bytes:
    """Draw the maps of some frames of a clip, one row per method and one column per frame.

    Args:
        rows: method → (F, H, W) in [0, 1], at least one, all with the same shape.
        frames: (F, h, w, 3) uint8, shown in the first row and below the maps; None: the maps alone.
        title: first line of text.
        subtitle: second line of text.

    Returns:
        A PNG file.
    """
    columns = len(next(iter(rows.values())))
    canvas, table, y = Canvas(_WIDTH), colour_table(), _MARGIN
    canvas.text(_MARGIN, y, canvas.elide(title, _TITLE, _WIDTH - 2 * _MARGIN), _TITLE)
    y += _TITLE.line_px
    canvas.text(_MARGIN, y, canvas.elide(subtitle, _SOFT, _WIDTH - 2 * _MARGIN), _SOFT)
    y += _SOFT.line_px + _GAP
    pictures = {name: table[np.round(heat * 255.0).astype(np.uint8)] for name, heat in rows.items()}
    if frames is not None:
        pictures = {"clip": frames, **{name: overlay(frames, heat) for name, heat in rows.items()}}
    width = (_WIDTH - 2 * _MARGIN) // columns - _GAP
    for name, row in pictures.items():
        canvas.text(_MARGIN, y, name, _ROW)
        y += _ROW.line_px
        cells = [_resized(picture, width, is_map=frames is None) for picture in row]
        for column, cell in enumerate(cells):
            canvas.picture(_MARGIN + column * (width + _GAP), y, cell)
        y += cells[0].shape[0] + 2 * _GAP
    return canvas.to_png(y + _MARGIN)


def _resized(picture: Frame, width_px: int, *, is_map: bool) -> Frame:
    """Resize a picture to a width; the cells of a map stay sharp."""
    height = max(1, round(picture.shape[0] * width_px / picture.shape[1]))
    how = Image.Resampling.NEAREST if is_map else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(picture).resize((width_px, height), how))
