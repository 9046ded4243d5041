"""A translucent picture that is drawn once and laid over many frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.overlay import Frame

BRIGHT, SOFT = "#ffffff", "#c9ced6"

_MIN_ALPHA = 165  # of 255: opacity of the background of a box


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A translucent picture. Drawn over a pixel it gives `(transparency * pixel + premultiplied) // 255`.

    Attributes:
        premultiplied: (h, w, 3) uint16, colour times alpha (0 to 255), times 255, plus 127 for rounding.
        transparency: (h, w, 3) uint16, 255 minus alpha. It is stored for each channel, because numpy is ten times
            slower when it broadcasts over channels.
    """

    premultiplied: NDArray[np.uint16]
    transparency: NDArray[np.uint16]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.transparency.shape[:2]
        return height, width

    def over(self, frame: Frame, top: int, left: int) -> None:
        """Draw the box over a frame (H, W, 3) uint8, in place. It must lie inside the frame."""
        height, width = self.size
        region = frame[top : top + height, left : left + width]
        blended = np.multiply(region, self.transparency)
        blended += self.premultiplied
        blended //= np.uint16(255)
        region[:] = blended

    def put(self, box: Box, top: int, left: int) -> None:
        """Replace a part of this box by another one, which must lie inside."""
        height, width = box.size
        place = slice(top, top + height), slice(left, left + width)
        self.premultiplied[place], self.transparency[place] = box.premultiplied, box.transparency


def box_of(pixels: Frame) -> Box:
    """Make a box of a picture on black. Black becomes translucent, text stays opaque."""
    red, green, blue = np.moveaxis(pixels, 2, 0)
    alpha = np.maximum(np.maximum(red, green), np.maximum(blue, _MIN_ALPHA))
    transparency = np.empty(pixels.shape, np.uint16)
    for channel in range(3):
        np.subtract(255, alpha, out=transparency[..., channel])
    premultiplied = pixels * np.uint16(255)
    premultiplied += np.uint16(127)
    return Box(premultiplied=premultiplied, transparency=transparency)


def clock_text(second: float, end_seconds: float) -> str:
    """Format a time as '12.3 s', or as '3:05.2' in a video of two minutes or more. Tenths are rounded down."""
    tenths = int(second * 10 + 1e-6)  # 0.3 * 10 is a little below 3
    if end_seconds < 120:
        return f"{tenths // 10}.{tenths % 10} s"
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def clock_width(unit_px: int, end_seconds: float) -> int:
    """Return the width of the widest time of a video in pixels."""
    text = clock_text(end_seconds, end_seconds)
    return sum(glyph.shape[1] for glyph in _glyphs(text, unit_px))


@lru_cache(maxsize=64)
def clock_box(text: str, unit_px: int, width_px: int) -> Box:
    """Draw a time of `clock_text`, aligned to the right. Its letters are drawn once for all times.

    Args:
        text: the time.
        unit_px: font size.
        width_px: width of the box, at least that of the text.
    """
    letters = np.concatenate(_glyphs(text, unit_px), axis=1)
    pixels = np.zeros((len(letters), width_px, 3), np.uint8)
    pixels[:, width_px - letters.shape[1] :] = letters
    return box_of(pixels)


def _glyphs(text: str, unit_px: int) -> list[Frame]:
    number, _, unit = text.partition(" ")
    style = TextStyle(unit_px, SOFT)
    return [text_picture(letter, style) for letter in (*number, f" {unit}") if letter.strip()]


@lru_cache(maxsize=256)
def text_picture(text: str, style: TextStyle) -> Frame:
    """Draw a line of text on black, (line_px, W, 3) uint8. The most recent texts are kept: do not write to it."""
    canvas = Canvas(max(1, round(Canvas(1).width_of(text, style))))
    canvas.text(0, 0, text, style)
    return canvas.to_pixels(style.line_px, background="black")


@lru_cache(maxsize=256)
def elided(text: str, style: TextStyle, width_px: int) -> str:
    """Return the text, shortened to a width as `Canvas.elide` does."""
    return Canvas(1).elide(text, style, width_px)
