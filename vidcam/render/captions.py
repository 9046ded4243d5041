"""Draw captions and the colour bar over frames. Each is a translucent box that is drawn once and reused for all frames.

`unit_px` is the font size in pixels. It depends on the size of the frame, so text is equally legible in a small frame
and in 4K. A caption covers at most a quarter of the frame's rows, and the colour bar at most an eighth of its pixels.
These limits depend only on the size of the frame, so they are the same for a whole video.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import ColourTable
from vidcam.render.overlay import Frame

Corner = Literal["top left", "bottom right"]

MIN_UNIT_PX = 11
"""Smallest legible font size."""

_MIN_ALPHA = 165  # of 255: opacity of the background of a box
_BRIGHT, _SOFT = "#ffffff", "#c9ced6"
_BAR_UNITS = 6  # length of the colour bar in units


def unit_of(size: tuple[int, int]) -> int:
    """Return the font size in pixels for a frame of (height, width): 1/28 of the shorter side, at least 11."""
    return max(MIN_UNIT_PX, round(min(size) / 28))


def caption_lines(size: tuple[int, int], unit_px: int) -> int:
    """Return how many lines a caption may have on a frame of (height, width): 2, 1 or 0."""
    height = TextStyle(unit_px).line_px
    return max((lines for lines in (0, 1, 2) if 4 * (lines * height + 2 * _pad(unit_px)) <= size[0]), default=0)


def is_small_beside(box: Box, size: tuple[int, int]) -> bool:
    """Return whether a box covers at most an eighth of a frame of (height, width)."""
    height, width = box.transparency.shape[:2]
    return bool(8 * height * width <= size[0] * size[1])


def percent(probability: float, *, digits: int = 0) -> str:
    """Format a probability as a percentage. Only exactly 0 and 1 give '0 %' and '100 %'.

    Args:
        probability: in [0, 1].
        digits: digits after the decimal point.

    Returns:
        '93 %', or '< 1 %' and '> 99 %' where rounding would give 0 or 100.
    """
    text, step = f"{100 * probability:.{digits}f}", 10.0**-digits
    if probability > 0.0 and float(text) == 0.0:
        return f"< {step:.{digits}f} %"
    if probability < 1.0 and float(text) == 100.0:
        return f"> {100 - step:.{digits}f} %"
    return f"{text} %"


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

    def over(self, frame: Frame, corner: Corner, margin_px: int) -> bool:
        """Draw the box over a frame, in place. Return False if it does not fit."""
        height, width = self.transparency.shape[:2]
        if height + 2 * margin_px > frame.shape[0] // 2 or width + 2 * margin_px > frame.shape[1]:
            return False
        top = margin_px if corner == "top left" else frame.shape[0] - margin_px - height
        left = margin_px if corner == "top left" else frame.shape[1] - margin_px - width
        region = frame[top : top + height, left : left + width]
        blended = np.multiply(region, self.transparency)
        blended += self.premultiplied
        blended //= np.uint16(255)
        region[:] = blended
        return True


@lru_cache(maxsize=256)
def caption_box(lines: tuple[str, ...], unit_px: int, max_width_px: int) -> Box:
    """Draw lines of text, the first one in bold. Lines that are too wide are elided.

    Args:
        lines: lines of text.
        unit_px: font size.
        max_width_px: largest width of the box.
    """
    styles = [TextStyle(unit_px, _SOFT if number else _BRIGHT, bold=not number) for number in range(len(lines))]
    pad = _pad(unit_px)
    ruler = Canvas(1)  # only measures text
    elided = [ruler.elide(line, style, max_width_px - 2 * pad) for line, style in zip(lines, styles, strict=True)]
    width = max(ruler.width_of(line, style) for line, style in zip(elided, styles, strict=True))
    canvas, y = Canvas(round(width) + 2 * pad), pad
    for line, style in zip(elided, styles, strict=True):
        canvas.text(pad, y, line, style)
        y += style.line_px
    return _box(canvas.to_pixels(y + pad, background="black"))


def colour_bar_box(table: ColourTable, unit_px: int, raw: tuple[float, float]) -> Box:
    """Draw the colour bar of the evidence, with 0 and 1 above and the raw values of the map below.

    Args:
        table: colour table, (256, 3) uint8.
        unit_px: font size.
        raw: (low, high), raw values of the map that are drawn as 0 and 1.
    """
    style, soft = TextStyle(unit_px, _BRIGHT), TextStyle(unit_px, _SOFT)
    pad, gap = _pad(unit_px), max(2, unit_px // 4)
    low, high = (f"{value:.3g}" for value in raw)
    ruler = Canvas(1)  # only measures text
    raw_width = ruler.width_of(low, soft) + ruler.width_of(high, soft) + unit_px
    length = max(_BAR_UNITS * unit_px, round(raw_width), round(ruler.width_of("evidence", style)) + 2 * unit_px)
    canvas = Canvas(length + 2 * pad)
    canvas.text(pad, pad, "0", style)
    canvas.text(pad + length / 2, pad, "evidence", soft, align="center")
    canvas.text(pad + length, pad, "1", style, align="right")
    top = pad + style.line_px + gap // 2
    canvas.picture(
        pad, top, np.broadcast_to(table[np.linspace(0, 255, length).round().astype(int)], (unit_px, length, 3))
    )
    y = top + unit_px + gap // 2
    canvas.text(pad, y, low, soft)
    canvas.text(pad + length, y, high, soft, align="right")
    box = _box(canvas.to_pixels(y + soft.line_px + pad // 2, background="black"))
    box.transparency[top : top + unit_px, pad : pad + length] = 0
    return box


def _pad(unit_px: int) -> int:
    return max(3, round(unit_px * 0.45))


def _box(pixels: Frame) -> Box:
    """Make a box of a picture on black. Black becomes translucent, text stays opaque."""
    alpha = np.maximum(pixels.max(axis=2, keepdims=True), _MIN_ALPHA).astype(np.uint16)
    premultiplied = pixels.astype(np.uint16) * np.uint16(255) + np.uint16(127)
    return Box(premultiplied=premultiplied, transparency=np.repeat(np.uint16(255) - alpha, 3, axis=2))
