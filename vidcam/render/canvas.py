"""Draw text, lines, polygons and pictures on a canvas in pixels. The y axis points down.

Matplotlib's Agg renderer draws the canvas without figures or axes. This saves the import of `matplotlib.figure` (0.3 s)
and makes the result nearly independent of the user's matplotlibrc. The same canvas gives the same bytes.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Picture = NDArray[np.uint8]
Rgba = tuple[float, float, float, float]

_DEFAULT_FAMILY = "DejaVu Sans"  # comes with matplotlib
_CJK_FAMILIES = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "PingFang SC", "Microsoft YaHei")
_MISSING_GLYPH = "□"
_DPI = 72  # a point is 1/72 inch, so a point is a pixel


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Style of a text: font size in pixels, colour, weight."""

    size_px: int
    colour: str = "#1b1b1b"
    bold: bool = False

    @property
    def line_px(self) -> int:
        """Line height in pixels."""
        return round(1.45 * self.size_px)


class Canvas:
    """A canvas. Positions are in pixels from the top left. Later strokes cover earlier ones, and pictures cover all."""

    def __init__(self, width_px: int) -> None:
        self.width_px = width_px
        self._strokes: list[Callable[[RendererAgg], None]] = []
        self._pictures: list[tuple[int, int, Picture]] = []
        self._renderer = _renderer(_DPI, _DPI)
        installed = set(font_manager.get_font_names())
        self._families = [_DEFAULT_FAMILY, *(family for family in _CJK_FAMILIES if family in installed)]
        fonts = (font_manager.FontProperties(family=family) for family in self._families)
        self._fonts = [font_manager.get_font(Path(font_manager.findfont(font))) for font in fonts]

    def text(
        self, x: float, y: float, text: str, style: TextStyle, *, align: Literal["left", "center", "right"] = "left"
    ) -> None:
        """Draw one line of text. Its line box starts at y."""
        baseline = y + 0.5 * (style.line_px + 0.72 * style.size_px)  # centres capitals, which are 0.72 of the font size
        left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * (self.width_of(text, style) if text else 0.0)
        self._strokes.append(
            partial(_draw_text, (left, baseline), self._drawable(text), style.colour, self._properties(style))
        )

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, *, width_px: float = 1.0, opacity: float = 1.0) -> None:
        """Draw a line through points."""
        points = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
        self._strokes.append(partial(_draw_line, points, to_rgba(colour, opacity), width_px))

    def area(self, x: ArrayLike, y: ArrayLike, colour: str, *, opacity: float = 1.0) -> None:
        """Fill a polygon."""
        corners = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
        self._strokes.append(partial(_draw_area, corners, to_rgba(colour, opacity)))

    def box(self, left: float, top: float, right: float, bottom: float, colour: str, *, opacity: float = 1.0) -> None:
        """Fill a rectangle."""
        self.area([left, right, right, left], [top, top, bottom, bottom], colour, opacity=opacity)

    def picture(self, left: int, top: int, picture: Picture) -> None:
        """Draw an (H, W, 3) uint8 picture without scaling."""
        self._pictures.append((left, top, picture))

    def width_of(self, text: str, style: TextStyle) -> float:
        """Return the width of the text in pixels."""
        properties = self._properties(style)
        extent = self._renderer.get_text_width_height_descent(self._drawable(text), properties, ismath=False)  # type: ignore[no-untyped-call]
        return float(extent[0])

    def wrap(self, text: str, style: TextStyle, width_px: float) -> list[str]:
        """Break the text into lines no wider than `width_px`: between words, or inside a word that is too wide."""
        lines: list[str] = []
        for word in text.split():
            joined = f"{lines[-1]} {word}" if lines else word
            if lines and self.width_of(joined, style) <= width_px:
                lines[-1] = joined
            else:
                lines.extend(self._break_word(word, style, width_px))
        return lines

    def elide(self, text: str, style: TextStyle, width_px: float) -> str:
        """Shorten the text to `width_px`: keep its beginning and its end, and put an ellipsis between them."""
        if self.width_of(text, style) <= width_px:
            return text
        for length in range(len(text) - 1, 1, -1):
            shorter = f"{text[: length - length // 2]}…{text[len(text) - length // 2 :]}"
            if self.width_of(shorter, style) <= width_px:
                return shorter
        return "…"

    def to_png(self, height_px: int) -> bytes:
        """Encode the canvas as a PNG file without metadata."""
        file = io.BytesIO()
        Image.fromarray(self.to_pixels(height_px)).save(file, format="PNG", compress_level=6)
        return file.getvalue()

    def to_pixels(self, height_px: int, *, background: str = "white") -> Picture:
        """Draw the canvas into an (H, W, 3) uint8 array."""
        renderer = _renderer(self.width_px, height_px)
        corners = np.array([[0, 0], [self.width_px, 0], [self.width_px, height_px], [0, height_px]], dtype=float)
        _draw_area(corners, to_rgba(background), renderer)
        for stroke in self._strokes:
            stroke(renderer)
        pixels = np.asarray(renderer.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]
        for left, top, picture in self._pictures:
            pixels[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        return pixels

    def _break_word(self, word: str, style: TextStyle, width_px: float) -> list[str]:
        pieces = [""]
        for character in word:
            if pieces[-1] and self.width_of(pieces[-1] + character, style) > width_px:
                pieces.append("")
            pieces[-1] += character
        return pieces

    def _properties(self, style: TextStyle) -> font_manager.FontProperties:
        return font_manager.FontProperties(
            family=self._families, size=style.size_px, weight="bold" if style.bold else "normal"
        )

    def _drawable(self, text: str) -> str:
        """Replace control characters by spaces, and characters that no font has by a box."""
        printable = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
        return "".join(
            character if any(font.get_char_index(ord(character)) for font in self._fonts) else _MISSING_GLYPH
            for character in printable
        )


def _renderer(width_px: int, height_px: int) -> RendererAgg:
    return RendererAgg(width_px, height_px, _DPI)  # type: ignore[no-untyped-call]


def _draw_text(
    position: tuple[float, float], text: str, colour: str, font: font_manager.FontProperties, renderer: RendererAgg
) -> None:
    context = renderer.new_gc()
    context.set_foreground(to_rgba(colour), isRGBA=True)
    renderer.draw_text(context, *position, text, font, 0.0)  # type: ignore[no-untyped-call]  # without mathtext


def _draw_line(points: NDArray[np.float64], colour: Rgba, width_px: float, renderer: RendererAgg) -> None:
    context = renderer.new_gc()
    context.set_foreground(colour, isRGBA=True)
    context.set_linewidth(width_px)
    context.set_joinstyle("round")
    context.set_capstyle("butt")
    renderer.draw_path(context, Outline(points), _flip_y(renderer))  # type: ignore[no-untyped-call]


def _draw_area(corners: NDArray[np.float64], colour: Rgba, renderer: RendererAgg) -> None:
    context = renderer.new_gc()
    context.set_linewidth(0.0)
    outline = Outline(np.concatenate([corners, corners[:1]]), closed=True)
    renderer.draw_path(context, outline, _flip_y(renderer), colour)  # type: ignore[no-untyped-call]


def _flip_y(renderer: RendererAgg) -> Affine2D:
    """Return the transform from y down to Agg's y up."""
    return Affine2D().scale(1, -1).translate(0, renderer.height)
