"""Write a drawing as SVG or PDF. The same drawing gives the same bytes: no dates, no random identifiers.

An SVG has its text as outlines, so that it looks the same everywhere. A PDF embeds the fonts, and its text can be
searched. One pixel of the drawing is one point.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from threading import Lock
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_pdf import PdfFile, RendererPdf
from matplotlib.backends.backend_svg import RendererSVG

Draw = Callable[[Any], None]
"""Draws on a renderer of matplotlib."""

POINTS_PER_INCH = 72

_ONE_AT_A_TIME = Lock()  # matplotlib's settings belong to the process

_SETTINGS: Any = {  # the user's matplotlibrc has no effect
    "svg.fonttype": "path",
    "svg.hashsalt": "vidcam",
    "svg.image_inline": True,
    "svg.id": None,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "pdf.use14corefonts": False,
    "pdf.inheritcolor": False,
}


def to_svg(draw: Draw, width_px: int, height_px: int) -> bytes:
    """Return an SVG file of the drawing."""
    text = io.StringIO()
    with _ONE_AT_A_TIME, mpl.rc_context(_SETTINGS):
        renderer = RendererSVG(width_px, height_px, text, metadata={"Date": None, "Creator": "vidcam"})  # type: ignore[no-untyped-call]
        draw(renderer)
        renderer.finalize()  # type: ignore[no-untyped-call]
    return text.getvalue().encode()


def to_pdf(draw: Draw, width_px: int, height_px: int) -> bytes:
    """Return a PDF file of one page with the drawing."""
    data = io.BytesIO()
    inches = width_px / POINTS_PER_INCH, height_px / POINTS_PER_INCH
    with _ONE_AT_A_TIME, mpl.rc_context(_SETTINGS):
        file = PdfFile(data, metadata={"CreationDate": None, "Creator": "vidcam", "Producer": None})  # type: ignore[no-untyped-call]
        try:
            file.newPage(*inches)  # type: ignore[no-untyped-call]
            renderer = RendererPdf(file, POINTS_PER_INCH, inches[1], inches[0])  # type: ignore[no-untyped-call]
            draw(renderer)
            renderer.finalize()  # type: ignore[no-untyped-call]
            file.finalize()  # type: ignore[no-untyped-call]
        finally:
            file.close()  # type: ignore[no-untyped-call]
    return data.getvalue()
