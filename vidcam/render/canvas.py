"""Draw text, lines, polygons and pictures on a canvas in pixels. The y axis points down.

Matplotlib's renderers draw the canvas without figures or axes: Agg into pixels, and `vector` into SVG and PDF. This
saves the import of `matplotlib.figure` (0.3 s) and makes the result nearly independent of the user's matplotlibrc. The
same canvas gives the same bytes.
"""

from __future__ import annotations

import io
import zlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgba
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from vidcam.render.fonts import drawable, families

Picture = NDArray[np.uint8]
Rgba = tuple[float, float, float, float]

Stroke = Callable[[Any, int], None]
"""Draws on a renderer of matplotlib. The second argument is the height of the page in pixels."""

_DPI = 72  # a point is 1/72 inch, so a point is a pixel


@dataclass(frozen=True, slots=True)
class _Pen:
    """Colour, width and dash pattern of a line."""

    colour: Rgba
    width_px: float
    dashes_px: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A picture at its place: pixels (H, W, 3), left, top and (height, width) on the canvas."""

    picture: Picture
    left: int
    top: int
    size: tuple[int, int]


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
        self._strokes: list[Stroke] = []
        self._pictures: list[_Placed] = []

    def text(
        self, x: float, y: float, text: str, style: TextStyle, *, align: Literal["left", "center", "right"] = "left"
    ) -> None:
        """Draw one line of text. Its line box starts at y."""
        baseline = y + 0.5 * (style.line_px + 0.72 * style.size_px)  # centres capitals, which are 0.72 of the font size
        left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * (self.width_of(text, style) if text else 0.0)
        self._strokes.append(
            partial(_draw_text, (left, baseline), drawable(text), (style.colour, _font(style.size_px, style.bold)))
        )

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        colour: str,
        *,
        width_px: float = 1.0,
        dashes_px: tuple[float, ...] = (),
    ) -> None:
        """Draw a line through points. `dashes_px` are the lengths of its dashes and gaps; empty: a solid line."""
        points = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
        self._strokes.append(partial(_draw_line, points, _Pen(to_rgba(colour), width_px, dashes_px)))

    def area(self, x: ArrayLike, y: ArrayLike, colour: str, *, opacity: float = 1.0) -> None:
        """Fill a polygon."""
        corners = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
        self._strokes.append(partial(_draw_area, corners, to_rgba(colour, opacity)))

    def box(self, left: float, top: float, right: float, bottom: float, colour: str, *, opacity: float = 1.0) -> None:
        """Fill a rectangle."""
        self.area([left, right, right, left], [top, top, bottom, bottom], colour, opacity=opacity)

    def picture(self, left: int, top: int, picture: Picture, *, size: tuple[int, int] | None = None) -> None:
        """Draw an (H, W, 3) uint8 picture, scaled to `size` (height, width). SVG and PDF keep all its pixels."""
        self._pictures.append(_Placed(picture, left, top, size or (picture.shape[0], picture.shape[1])))

    def width_of(self, text: str, style: TextStyle) -> float:
        """Return the width of the text in pixels."""
        return _width_of(drawable(text), style.size_px, style.bold)

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

        def shorter(length: int) -> str:
            return f"{text[: length - length // 2]}…{text[len(text) - length // 2 :]}"

        length = _longest(1, len(text) - 1, lambda length: self.width_of(shorter(length), style) <= width_px)
        return shorter(length) if length > 1 else "…"

    def to_png(self, height_px: int) -> bytes:
        """Encode the canvas as a PNG file without metadata."""
        file = io.BytesIO()
        Image.fromarray(self.to_pixels(height_px)).save(file, format="PNG", compress_type=zlib.Z_RLE)  # small and fast
        return file.getvalue()

    def to_svg(self, height_px: int) -> bytes:
        """Encode the canvas as an SVG file. Text becomes outlines."""
        from vidcam.render.vector import to_svg  # imported here, because it takes 0.1 s

        return to_svg(partial(self._draw_page, height_px=height_px), self.width_px, height_px)

    def to_pdf(self, height_px: int) -> bytes:
        """Encode the canvas as a PDF file of one page, with its fonts."""
        from vidcam.render.vector import to_pdf  # imported here, because it takes 0.1 s

        return to_pdf(partial(self._draw_page, height_px=height_px), self.width_px, height_px)

    def to_pixels(self, height_px: int, *, background: str = "white") -> Picture:
        """Draw the canvas into an (H, W, 3) uint8 array."""
        renderer = _renderer(self.width_px, height_px)
        self._draw_strokes(renderer, height_px, background)
        pixels = np.asarray(renderer.buffer_rgba())[:, :, :3].copy()  # type: ignore[no-untyped-call]
        for placed in self._pictures:
            (height, width), picture = placed.size, placed.picture
            if picture.shape[:2] != placed.size:
                picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
            pixels[placed.top : placed.top + height, placed.left : placed.left + width] = picture
        return pixels

    def _draw_page(self, renderer: Any, *, height_px: int) -> None:
        """Draw everything, also the pictures, on a renderer for SVG or PDF."""
        self._draw_strokes(renderer, height_px, "white")
        for placed in self._pictures:
            height, width = placed.size
            opaque = np.full((*placed.picture.shape[:2], 1), 255, np.uint8)
            renderer.image_dpi = _DPI * placed.picture.shape[1] / width  # scales the picture
            renderer.draw_image(
                renderer.new_gc(),
                placed.left,
                height_px - placed.top - height,
                np.concatenate([placed.picture, opaque], axis=2)[::-1],  # the renderers begin at the bottom
            )

    def _draw_strokes(self, renderer: Any, height_px: int, background: str) -> None:
        corners = np.array([[0, 0], [self.width_px, 0], [self.width_px, height_px], [0, height_px]], dtype=float)
        _draw_area(corners, to_rgba(background), renderer, height_px)
        for stroke in self._strokes:
            stroke(renderer, height_px)

    def _break_word(self, word: str, style: TextStyle, width_px: float) -> list[str]:
        pieces = []
        while word:
            length = self._beginning(word, style, width_px)
            pieces.append(word[:length])
            word = word[length:]
        return pieces

    def _beginning(self, word: str, style: TextStyle, width_px: float) -> int:
        return _longest(1, len(word), lambda length: self.width_of(word[:length], style) <= width_px)


def _longest(least: int, most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest length that fits; `least` is not tried. A text is wider than its beginning."""
    return least + bisect_right(range(least + 1, most + 1), 0, key=lambda length: not fits(length))


@lru_cache(maxsize=1000)
def _width_of(text: str, size_px: int, bold: bool) -> float:  # noqa: FBT001
    """Return the width of a text in pixels; measuring takes a millisecond."""
    renderer = _renderer(_DPI, _DPI)
    extent = renderer.get_text_width_height_descent(text, _font(size_px, bold), ismath=False)  # type: ignore[no-untyped-call]
    return float(extent[0])


def _font(size_px: int, bold: bool) -> font_manager.FontProperties:  # noqa: FBT001
    return font_manager.FontProperties(family=list(families()), size=size_px, weight="bold" if bold else "normal")


def _renderer(width_px: int, height_px: int) -> RendererAgg:
    return RendererAgg(width_px, height_px, _DPI)  # type: ignore[no-untyped-call]


def _draw_text(
    position: tuple[float, float],
    text: str,
    style: tuple[str, font_manager.FontProperties],
    renderer: Any,
    height_px: int,
) -> None:
    (x, y), (colour, font) = position, style
    context = renderer.new_gc()
    context.set_foreground(to_rgba(colour), isRGBA=True)
    renderer.draw_text(context, x, y if renderer.flipy() else height_px - y, text, font, 0.0)  # without mathtext


def _draw_line(points: NDArray[np.float64], pen: _Pen, renderer: Any, height_px: int) -> None:
    context = renderer.new_gc()
    context.set_foreground(pen.colour, isRGBA=True)
    context.set_linewidth(pen.width_px)
    context.set_joinstyle("round")
    context.set_capstyle("butt")
    if pen.dashes_px:
        context.set_dashes(0.0, pen.dashes_px)
    renderer.draw_path(context, Outline(points), _flip_y(height_px))


def _draw_area(corners: NDArray[np.float64], colour: Rgba, renderer: Any, height_px: int) -> None:
    context = renderer.new_gc()
    context.set_linewidth(0.0)
    outline = Outline(np.concatenate([corners, corners[:1]]), closed=True)
    renderer.draw_path(context, outline, _flip_y(height_px), colour)


def _flip_y(height_px: int) -> Affine2D:
    """Return the transform from y down to the renderers' y up."""
    return Affine2D().scale(1, -1).translate(0, height_px)
