"""Captions: what a map shows, in a translucent box on the frame or in a margin below it.

A caption has rows of text, a row with the method and the time, and a colour bar with the raw values of the map. Its
size and parts are chosen once for a whole video (`caption_plan`), so the box neither moves nor grows. It is drawn again
only when its text changes, from texts that are drawn once. The time is drawn apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vidcam.render.box import BRIGHT, SOFT, Box, box_of, elided, text_picture
from vidcam.render.canvas import TextStyle
from vidcam.render.caption_plan import CaptionPlan, Cell, bar_height, text_gap
from vidcam.render.caption_text import Caption, Row
from vidcam.render.colormap import ColourTable
from vidcam.render.overlay import Frame
from vidcam.render.verdict_text import ON_BLACK, SIGNS, signed_word

GREYS: ColourTable = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
"""Colour table from black to white."""


@dataclass(frozen=True, slots=True, eq=False)
class ColourBar:
    """The scale of a map.

    Attributes:
        table: colour table, (256, 3) uint8.
        raw: (low, high), raw values of the map that have the first and the last colour.
    """

    table: ColourTable = field(repr=False)
    raw: tuple[float, float]

    @property
    def ends(self) -> tuple[str, str]:
        """The raw values as text."""
        low, high = (f"{value:.3g}".replace("-", "−") for value in self.raw)
        return low, high


def draw_caption(plan: CaptionPlan, caption: Caption, bar: ColourBar | None) -> Box:
    """Draw a caption without its time.

    Args:
        plan: its size and parts.
        caption: its text; rows that the plan does not have are left out.
        bar: the colour bar, if the plan has one.

    Returns:
        A box that leaves the pixels at `plan.clock` as they are.
    """
    pixels, unit = np.zeros((*plan.size, 3), np.uint8), plan.unit_px
    soft = TextStyle(unit, SOFT)
    for number, (cell, row) in enumerate(zip(plan.text_cells, caption.rows, strict=False)):
        _draw_row(pixels, cell, row, unit, is_title=number == 0, has_detail=plan.has_detail)
    if plan.method_cell is not None:
        left, top, _ = plan.method_cell
        left = _draw_text(pixels, left, top, caption.method, soft)
        if caption.word is not None:
            text = signed_word(caption.word) if plan.has_word else SIGNS[caption.word]
            _draw_text(pixels, left + text_gap(unit), top, text, TextStyle(unit, ON_BLACK[caption.word]))
    opaque = None
    if plan.bar_cell is not None and bar is not None:
        opaque = _draw_bar(pixels, plan.bar_cell, bar, soft)
    box = box_of(pixels)
    if opaque is not None:
        box.transparency[opaque] = 0
    if plan.clock is not None:
        left, top, width = plan.clock
        place = slice(top, top + soft.line_px), slice(left, left + width)
        box.transparency[place], box.premultiplied[place] = 255, 127
    return box


def _draw_text(pixels: Frame, left: int, top: int, text: str, style: TextStyle) -> int:
    """Draw a text; returns where it ends."""
    if not text:
        return left
    picture = text_picture(text, style)
    region = pixels[top : top + picture.shape[0], left : left + picture.shape[1]]
    region[:] = picture[: region.shape[0], : region.shape[1]]
    return left + int(picture.shape[1])


def _draw_row(pixels: Frame, cell: Cell, row: Row, unit: int, *, is_title: bool, has_detail: bool) -> None:
    """Draw a row; its label is elided if the row is too wide."""
    left, top, width = cell
    colour = BRIGHT if is_title else SOFT
    plain, strong, soft = TextStyle(unit, colour), TextStyle(unit, colour, bold=is_title), TextStyle(unit, SOFT)
    others = ((row.before, plain), (row.after, plain), (row.detail * has_detail, soft))
    room = width - sum(text_picture(text, style).shape[1] for text, style in others if text)
    label = elided(row.label, strong, room) if row.label else ""
    for text, style in (others[0], (label, strong), *others[1:]):
        left = _draw_text(pixels, left, top, text, style)


def _draw_bar(pixels: Frame, cell: Cell, bar: ColourBar, style: TextStyle) -> tuple[slice, slice]:
    """Draw the colour bar between its raw values; returns the pixels of the colours."""
    left, top, width = cell
    low, high = bar.ends
    gap, height = text_gap(style.size_px), bar_height(style.size_px)
    start = _draw_text(pixels, left, top, low, style) + gap
    right = left + width - text_picture(high, style).shape[1]
    _draw_text(pixels, right, top, high, style)
    stop, y = right - gap, top + (style.line_px - height) // 2
    pixels[y : y + height, start:stop] = bar.table[np.linspace(0, 255, stop - start).round().astype(int)]
    return slice(y, y + height), slice(start, stop)
