"""A canvas in pixels: text, lines, areas and pictures, y downward, as high as what is drawn on it.

Matplotlib's Agg draws it, without pyplot, axes or global state: every artist is placed in pixels and has all its
properties, so a user's matplotlibrc changes next to nothing. The same canvas gives the same bytes.
"""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Picture = NDArray[np.uint8]

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
        self._artists: list[Artist] = []
        self._pictures: list[tuple[int, int, Picture]] = []
        self._renderer = FigureCanvasAgg(Figure(figsize=(1, 1), dpi=_POINTS_PER_INCH)).get_renderer()  # type: ignore[no-untyped-call]
        installed = set(font_manager.get_font_names())
        self._families = [_OWN_FAMILY, *(family for family in _FAMILIES if family in installed)]
        fonts = (font_manager.FontProperties(family=family) for family in self._families)
        self._fonts = [font_manager.get_font(Path(font_manager.findfont(font))) for font in fonts]

    def text(
        self, x: float, y: float, text: str, style: TextStyle, *, align: Literal["left", "center", "right"] = "left"
    ) -> None:
        """One line of text whose box starts at height y."""
        baseline = y + 0.5 * (style.line_px + 0.72 * style.size_px)  # capitals are 0.72 high: they stand in the middle
        artist = Text(
            x,
            baseline,
            self._drawable(text),
            color=style.colour,
            horizontalalignment=align,
            verticalalignment="baseline",
            fontproperties=self._properties(style),
            parse_math=False,  # a `$` in a file's name is a `$`
            usetex=False,
        )
        self._artists.append(artist)

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, *, width_px: float = 1.0, opacity: float = 1.0) -> None:
        """A line through points."""
        line = Line2D(
            np.atleast_1d(x),
            np.atleast_1d(y),
            color=colour,
            linewidth=width_px,
            alpha=opacity,
            linestyle="-",
            marker="",
        )
        line.set_solid_joinstyle("round")
        line.set_solid_capstyle("butt")
        self._artists.append(line)

    def area(self, x: ArrayLike, y: ArrayLike, colour: str, *, opacity: float = 1.0) -> None:
        """A filled polygon."""
        corners = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)])
        self._artists.append(
            Polygon(corners, closed=True, facecolor=colour, edgecolor="none", linewidth=0, alpha=opacity)
        )

    def box(self, left: float, top: float, right: float, bottom: float, colour: str, *, opacity: float = 1.0) -> None:
        """A filled rectangle."""
        self.area([left, right, right, left], [top, top, bottom, bottom], colour, opacity=opacity)

    def picture(self, left: int, top: int, picture: Picture) -> None:
        """An (H, W, 3) uint8 picture, pixel for pixel."""
        self._pictures.append((left, top, picture))

    def width_of(self, text: str, style: TextStyle) -> float:
        """Pixels that the text takes."""
        properties = self._properties(style)
        extent = self._renderer.get_text_width_height_descent(self._drawable(text), properties, ismath=False)
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
        inches = (self.width_px / _POINTS_PER_INCH, height_px / _POINTS_PER_INCH)
        figure = Figure(figsize=inches, dpi=_POINTS_PER_INCH, facecolor=background, edgecolor="none")
        agg = FigureCanvasAgg(figure)
        downward = Affine2D().scale(1, -1).translate(0, height_px)
        for artist in self._artists:
            artist.set_transform(downward)
            figure.add_artist(artist)
        agg.draw()  # type: ignore[no-untyped-call]
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
