"""A canvas in pixels: text, lines, areas and pictures, y downward, as high as what is drawn on it.

Matplotlib's Agg renderer draws it, without figures, axes or global state: a figure takes 0.3 s to import, and a user's
matplotlibrc changes next to nothing here. The same canvas gives the same bytes.
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

_OWN_FAMILY = "DejaVu Sans"  # comes with matplotlib; the others, for Asian scripts, are used where they are installed
_FAMILIES = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "PingFang SC", "Microsoft YaHei")
_MISSING = "□"
_POINTS_PER_INCH = 72  # drawn at as many dots per inch: a point is a pixel


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Style of a text: height of the letters' box in pixels, colour, weight."""

    size_px: int
    colour: str = "#1b1b1b"
    bold: bool = False

    @property
    def line_px(self) -> int:
        """Distance from line to line."""
        return round(1.45 * self.size_px)


class Canvas:
    """What is drawn, in the order of drawing; pictures last. All positions in pixels from the top left."""

    def __init__(self, width_px: int) -> None:
        self.width_px = width_px
        self._strokes: list[Callable[[RendererAgg], None]] = []
        self._pictures: list[tuple[int, int, Picture]] = []
        self._renderer = _renderer(_POINTS_PER_INCH, _POINTS_PER_INCH)
        installed = set(font_manager.get_font_names())
        self._families = [_OWN_FAMILY, *(family for family in _FAMILIES if family in installed)]
        fonts = (font_manager.FontProperties(family=family) for family in self._families)
        self._fonts = [font_manager.get_font(Path(font_manager.findfont(font))) for font in fonts]

    def text(
        self, x: float, y: float, text: str, style: TextStyle, *, align: Literal["left", "center", "right"] = "left"
    ) -> None:
        """One line of text whose box starts at height y."""
        baseline = y + 0.5 * (style.line_px + 0.72 * style.size_px)  # capitals are 0.72 high: they stand in the middle
        left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * (self.width_of(text, style) if text else 0.0)
        self._strokes.append(
            partial(_draw_text, (left, baseline), self._drawable(text), style.colour, self._properties(style))
        )

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, *, width_px: float = 1.0, opacity: float = 1.0) -> None:
        """A line through points."""
        points = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
        self._strokes.append(partial(_draw_line, points, to_rgba(colour, opacity), width_px))

    def area(self, x: ArrayLike, y: ArrayLike, colour: str, *, opacity: float = 1.0) -> None:
        """A filled polygon."""
        corners = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
        self._strokes.append(partial(_draw_area, corners, to_rgba(colour, opacity)))

    def box(self, left: float, top: float, right: float, bottom: float, colour: str, *, opacity: float = 1.0) -> None:
        """A filled rectangle."""
        self.area([left, right, right, left], [top, top, bottom, bottom], colour, opacity=opacity)

    def picture(self, left: int, top: int, picture: Picture) -> None:
        """An (H, W, 3) uint8 picture, pixel for pixel."""
        self._pictures.append((left, top, picture))

    def width_of(self, text: str, style: TextStyle) -> float:
        """Pixels that the text takes."""
        properties = self._properties(style)
        extent = self._renderer.get_text_width_height_descent(self._drawable(text), properties, ismath=False)  # type: ignore[no-untyped-call]
        return float(extent[0])

    def wrap(self, text: str, style: TextStyle, width_px: float) -> list[str]:
        """Lines no wider than `width_px`, broken between words and inside a word that is wider alone."""
        lines: list[str] = []
        for word in text.split():
            joined = f"{lines[-1]} {word}" if lines else word
            if lines and self.width_of(joined, style) <= width_px:
                lines[-1] = joined
            else:
                lines.extend(self._broken(word, style, width_px))
        return lines

    def elide(self, text: str, style: TextStyle, width_px: float) -> str:
        """The text, or its two ends around an ellipsis, no wider than `width_px`."""
        if self.width_of(text, style) <= width_px:
            return text
        for kept in range(len(text) - 1, 1, -1):
            shorter = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
            if self.width_of(shorter, style) <= width_px:
                return shorter
        return "…"

    def to_png(self, height_px: int) -> bytes:
        """The canvas as a PNG file without dates or versions."""
        file = io.BytesIO()
        Image.fromarray(self.to_pixels(height_px)).save(file, format="PNG", compress_level=6)
        return file.getvalue()

    def to_pixels(self, height_px: int, *, background: str = "white") -> Picture:
        """The canvas as an (H, W, 3) uint8 picture."""
        agg = _renderer(self.width_px, height_px)
        edges = np.array([[0, 0], [self.width_px, 0], [self.width_px, height_px], [0, height_px]], dtype=float)
        _draw_area(edges, to_rgba(background), agg)
        for stroke in self._strokes:
            stroke(agg)
        pixels = np.asarray(agg.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]
        for left, top, picture in self._pictures:
            pixels[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        return pixels

    def _broken(self, word: str, style: TextStyle, width_px: float) -> list[str]:
        pieces = [""]
        for letter in word:
            if pieces[-1] and self.width_of(pieces[-1] + letter, style) > width_px:
                pieces.append("")
            pieces[-1] += letter
        return pieces

    def _properties(self, style: TextStyle) -> font_manager.FontProperties:
        return font_manager.FontProperties(
            family=self._families, size=style.size_px, weight="bold" if style.bold else "normal"
        )

    def _drawable(self, text: str) -> str:
        """The text without control characters, and a box for each letter that no font has."""
        plain = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
        return "".join(
            letter if any(font.get_char_index(ord(letter)) for font in self._fonts) else _MISSING for letter in plain
        )


def _renderer(width_px: int, height_px: int) -> RendererAgg:
    return RendererAgg(width_px, height_px, _POINTS_PER_INCH)  # type: ignore[no-untyped-call]


def _draw_text(
    position: tuple[float, float], text: str, colour: str, font: font_manager.FontProperties, renderer: RendererAgg
) -> None:
    context = renderer.new_gc()
    context.set_foreground(to_rgba(colour), isRGBA=True)
    renderer.draw_text(context, *position, text, font, 0.0)  # type: ignore[no-untyped-call]  # no maths: a `$` is a `$`


def _draw_line(points: NDArray[np.float64], colour: Rgba, width_px: float, renderer: RendererAgg) -> None:
    context = renderer.new_gc()
    context.set_foreground(colour, isRGBA=True)
    context.set_linewidth(width_px)
    context.set_joinstyle("round")
    context.set_capstyle("butt")
    renderer.draw_path(context, Outline(points), _downward(renderer))  # type: ignore[no-untyped-call]


def _draw_area(corners: NDArray[np.float64], colour: Rgba, renderer: RendererAgg) -> None:
    context = renderer.new_gc()
    context.set_linewidth(0.0)
    outline = Outline(np.concatenate([corners, corners[:1]]), closed=True)
    renderer.draw_path(context, outline, _downward(renderer), colour)  # type: ignore[no-untyped-call]


def _downward(renderer: RendererAgg) -> Affine2D:
    """Agg counts rows from below."""
    return Affine2D().scale(1, -1).translate(0, renderer.height)
