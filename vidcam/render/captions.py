"""Text and the colour bar over a frame: small translucent boxes, drawn once and laid over every frame.

The unit is the size of the letters in pixels, from the frame's own size, so that text reads alike at 240 rows and at
4K. In a small frame less is said, as the footage matters more: a caption takes a quarter of its rows at most, the bar
an eighth of its pixels. That follows from the frame's size alone, so that nothing comes and goes within a video.
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

LEAST_UNIT_PX = 11
"""Letters below this size are not read on a screen."""

_DARKNESS = 165  # of 255: how much of the footage a box hides
_BRIGHT, _SOFT = "#ffffff", "#c9ced6"
_BAR_STEPS = 6  # the bar's length in units


def unit_of(size: tuple[int, int]) -> int:
    """Size of the letters on a frame of (height, width), in pixels: 1/28 of the shorter side, at least 11."""
    return max(LEAST_UNIT_PX, round(min(size) / 28))


def caption_lines(size: tuple[int, int], unit_px: int) -> int:
    """How many lines a caption may have on a frame of (height, width): 2, 1 or 0."""
    height = TextStyle(unit_px).line_px
    return max((lines for lines in (0, 1, 2) if 4 * (lines * height + 2 * _pad(unit_px)) <= size[0]), default=0)


def is_small_beside(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box takes at most an eighth of a frame of (height, width)."""
    height, width = box.keep.shape[:2]
    return bool(8 * height * width <= size[0] * size[1])


def percent(probability: float, *, digits: int = 0) -> str:
    """A percentage with so many digits behind the point, which never rounds to certainty or to nothing."""
    text, step = f"{100 * probability:.{digits}f}", 10.0**-digits
    if probability > 0.0 and float(text) == 0.0:
        return f"< {step:.{digits}f} %"
    if probability < 1.0 and float(text) == 100.0:
        return f"> {100 - step:.{digits}f} %"
    return f"{text} %"


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A translucent picture.

    Attributes:
        ink: (h, w, 3) uint16, colour times opacity (0 to 255) times 255, and 127 to round.
        keep: (h, w, 3) uint16, what stays of the footage, 0 to 255, for each channel, as numpy is ten times slower on
            one number for three.
    """

    ink: NDArray[np.uint16]
    keep: NDArray[np.uint16]

    def over(self, frame: Frame, corner: Corner, margin_px: int) -> bool:
        """Lay the box over a frame, in place; False if it does not fit."""
        height, width = self.keep.shape[:2]
        if height + 2 * margin_px > frame.shape[0] // 2 or width + 2 * margin_px > frame.shape[1]:
            return False
        top = margin_px if corner == "top left" else frame.shape[0] - margin_px - height
        left = margin_px if corner == "top left" else frame.shape[1] - margin_px - width
        part = frame[top : top + height, left : left + width]
        mixed = np.multiply(part, self.keep)
        mixed += self.ink
        mixed //= np.uint16(255)
        part[:] = mixed
        return True


@lru_cache(maxsize=256)
def caption_box(lines: tuple[str, ...], unit_px: int, room_px: int) -> Box:
    """Lines of text, the first one bold; elided where they are wider than the room.

    Args:
        lines: what is said.
        unit_px: size of the letters.
        room_px: the frame's width less its margins.
    """
    styles = [TextStyle(unit_px, _SOFT if number else _BRIGHT, bold=not number) for number in range(len(lines))]
    pad = _pad(unit_px)
    measure = Canvas(1)
    shown = [measure.elide(line, style, room_px - 2 * pad) for line, style in zip(lines, styles, strict=True)]
    width = max(measure.width_of(line, style) for line, style in zip(shown, styles, strict=True))
    canvas, y = Canvas(round(width) + 2 * pad), pad
    for line, style in zip(shown, styles, strict=True):
        canvas.text(pad, y, line, style)
        y += style.line_px
    return _box(canvas.to_pixels(y + pad, background="black"))


def colour_bar_box(table: ColourTable, unit_px: int, raw: tuple[float, float]) -> Box:
    """The colours of the evidence with their values: 0 to 1 above, the raw map's values below.

    Args:
        table: (256, 3) uint8.
        unit_px: size of the letters.
        raw: (low, high), the map's values that are drawn as 0 and 1.
    """
    style, soft = TextStyle(unit_px, _BRIGHT), TextStyle(unit_px, _SOFT)
    pad, gap = _pad(unit_px), max(2, unit_px // 4)
    low, high = (f"{value:.3g}" for value in raw)
    measure = Canvas(1)
    needed = measure.width_of(low, soft) + measure.width_of(high, soft) + unit_px
    length = max(_BAR_STEPS * unit_px, round(needed), round(measure.width_of("evidence", style)) + 2 * unit_px)
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
    box.keep[top : top + unit_px, pad : pad + length] = 0
    return box


def _pad(unit_px: int) -> int:
    return max(3, round(unit_px * 0.45))


def _box(pixels: Frame) -> Box:
    """Black becomes translucent, letters opaque."""
    opacity = np.maximum(pixels.max(axis=2, keepdims=True), _DARKNESS).astype(np.uint16)
    ink = pixels.astype(np.uint16) * np.uint16(255) + np.uint16(127)
    return Box(ink=ink, keep=np.repeat(np.uint16(255) - opacity, 3, axis=2))
