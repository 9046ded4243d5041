"""Draw a contact sheet, as PNG, SVG or PDF.

All sizes are in pixels. The heading comes first. Below it are the frames: moments from left to right, maps from top to
bottom. The strips are at the bottom. Thin lines connect each column with its time. Long text is wrapped or elided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.caption_text import percent
from vidcam.render.colormap import PLOT_COLOURS
from vidcam.render.overlay import Frame
from vidcam.render.sheet import Sheet, SheetBlock, SheetFormat, SheetRow
from vidcam.render.strip_drawing import DASHES, StripStyle, draw_legend, draw_strip
from vidcam.render.verdict_text import ON_WHITE, signed_word

SHEET_WIDTH_PX = 1800

_MARGIN, _GAP = 44, 10
_LEFT, _RIGHT, _WIDTH = _MARGIN, SHEET_WIDTH_PX - _MARGIN, SHEET_WIDTH_PX - 2 * _MARGIN
_MAX_CELL = (340, 560)  # (height, width)
_STRIP_HEIGHTS = (170, 120)  # of one strip, and of each of several
_SCALE_WIDTHS, _LEADER_HEIGHT = (56, 112), 34  # left of a strip, without and with windows
_BAR_HEIGHT, _BAR_WIDTH = 16, 260
_RULE_COLOUR, _BAR_COLOUR, _EMPTY_COLOUR = "#b9bec6", "#4a5a75", "#e6e8ec"
_BAND_COLOUR = "#f3f4f6"

_TITLE = TextStyle(36, bold=True)
_CLASS, _CLASS_BOLD = TextStyle(28), TextStyle(28, bold=True)
_TEXT, _GREY = TextStyle(24, "#33363b"), TextStyle(24, "#5c6068")
_BLOCK, _ROW = TextStyle(28, bold=True), TextStyle(24, bold=True)
_WARNING = TextStyle(22, "#9a4b00")
_FACT = TextStyle(22, "#5c6068")
_STRIP = StripStyle(
    unit_px=22,
    text=TextStyle(21, "#5c6068"),
    legend=_TEXT,
    swatch_px=(44, 4, 12, 40),
    colours=PLOT_COLOURS,
    dashes=DASHES,
    grid_colour="#d9dce1",
    line_px=3.0,
    opacity=0.22,
    edge_px=1.5,
    scale=(0.0, 0.5, 1.0),
    has_windows=False,
    evidence_text="{}",
    probability_text="probability, mean of the windows",
)

Looks = Mapping[str, tuple[str, tuple[float, ...]]]
"""Name of a curve → its colour and dash pattern, the same in all blocks."""


def draw_sheet(sheet: Sheet, form: SheetFormat = "png") -> bytes:
    """Draw a contact sheet, `SHEET_WIDTH_PX` wide and as high as needed. The same sheet gives the same bytes."""
    canvas, columns = Canvas(SHEET_WIDTH_PX), _Columns.of(sheet)
    curves = dict.fromkeys(name for block in sheet.blocks for name in block.strip.evidence)
    patterns = zip(PLOT_COLOURS * len(curves), DASHES * len(curves), strict=False)
    looks = dict(zip(curves, patterns, strict=False))
    y = _draw_heading(canvas, sheet, 30)
    y = _draw_times(canvas, sheet, columns, y + 18)
    y = _draw_frames(canvas, sheet.source_frames, columns, y)
    for block in sheet.blocks:
        if len(sheet.blocks) > 1:
            y = _draw_lines(canvas, canvas.wrap(block.name, _BLOCK, _WIDTH), _BLOCK, y + 10)
        for row in block.rows:
            y = _draw_row(canvas, row, columns, looks[row.curve], y + 4)
    y = _draw_strips(canvas, sheet, columns, looks, y)
    y = _draw_legend(canvas, sheet, looks, y + 12)
    y = _draw_facts(canvas, sheet.facts, y + 14)
    encode = {"png": canvas.to_png, "svg": canvas.to_svg, "pdf": canvas.to_pdf}[form]
    return encode(round(y) + 26)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Places of the columns, from the left edge of the sheet."""

    count: int
    cell: tuple[int, int]  # (height, width)
    pitch: float

    @classmethod
    def of(cls, sheet: Sheet) -> _Columns:
        count, (height, width) = len(sheet.moments), sheet.source_frames[0].shape[:2]
        room = min(_MAX_CELL[1], (_WIDTH + _GAP) // count - _GAP)
        scale = min(room / width, _MAX_CELL[0] / height)
        cell = max(1, round(height * scale)), max(1, round(width * scale))
        full = (_WIDTH - cell[1]) / (count - 1) if count > 1 else 0.0
        return cls(count, cell, min(full, 1.25 * max(cell[1], 200) + _GAP))

    def lefts(self) -> list[int]:
        return [_LEFT + round(column * self.pitch) for column in range(self.count)]

    def centres(self) -> list[float]:
        return [left + self.cell[1] / 2 for left in self.lefts()]

    @property
    def text_width(self) -> float:
        """Room for a text above a column."""
        return max(self.pitch - _GAP, self.cell[1])


def _draw_bar(canvas: Canvas, left: float, y: float, probability: float) -> None:
    top, bottom = y + (_CLASS.line_px - _BAR_HEIGHT) / 2, y + (_CLASS.line_px + _BAR_HEIGHT) / 2
    canvas.box(left, top, left + _BAR_WIDTH, bottom, _EMPTY_COLOUR)
    canvas.box(left, top, left + probability * _BAR_WIDTH, bottom, _BAR_COLOUR)
    canvas.text(left + _BAR_WIDTH + 18, y, percent(probability, digits=1), _CLASS)


def _draw_heading(canvas: Canvas, sheet: Sheet, y: float) -> float:
    canvas.text(_LEFT, y, canvas.elide(sheet.title, _TITLE, _WIDTH), _TITLE)
    y = _draw_verdicts(canvas, sheet, y + _TITLE.line_px + 8) + 12
    names = [canvas.elide(line.name, _CLASS_BOLD, _WIDTH - _BAR_WIDTH - 420) for line in sheet.classes]
    bar = _LEFT + max((canvas.width_of(name, _CLASS_BOLD) for name in names), default=0.0) + 28
    for name, line in zip(names, sheet.classes, strict=True):
        canvas.text(_LEFT, y, name, _CLASS_BOLD)
        if not np.isnan(line.probability):
            _draw_bar(canvas, bar, y, line.probability)
        note_y = y + (_CLASS.line_px - _GREY.line_px) / 2
        _draw_rest(canvas, line.note, bar + _BAR_WIDTH + 160, note_y, _RIGHT)
        y += _CLASS.line_px
    return _draw_lines(canvas, canvas.wrap(sheet.subtitle, _GREY, _WIDTH), _GREY, y)


def _draw_verdicts(canvas: Canvas, sheet: Sheet, y: float) -> float:
    """Draw a band with the verdict on each map, and the remarks below them."""
    left, right, line = _LEFT + 24, _RIGHT - 20, _TEXT.line_px
    names = [canvas.elide(name, _ROW, _WIDTH / 3) for name, _ in sheet.verdicts]
    words = [signed_word(verdict.word) for _, verdict in sheet.verdicts]
    middle = left + max((canvas.width_of(name, _ROW) for name in names), default=0.0) + 22
    reasons_left = middle + max((canvas.width_of(word, _ROW) for word in words), default=0.0) + 22
    reasons = [canvas.wrap(verdict.reason, _TEXT, right - reasons_left) or [""] for _, verdict in sheet.verdicts]
    remarks = [text for remark in sheet.remarks for text in canvas.wrap(remark, _TEXT, right - left)]
    bottom = y + line * (sum(map(len, reasons)) + len(remarks)) + 16
    canvas.box(_LEFT, y, _RIGHT, bottom, _BAND_COLOUR)
    y += 8
    for name, word, texts, (_, verdict) in zip(names, words, reasons, sheet.verdicts, strict=True):
        colour = ON_WHITE[verdict.word]
        canvas.box(_LEFT, y, _LEFT + 8, y + line * len(texts), colour)
        canvas.text(left, y, name, _ROW)
        canvas.text(middle, y, word, replace(_ROW, colour=colour))
        for text in texts:
            canvas.text(reasons_left, y, text, _TEXT)
            y += line
    for text in remarks:
        canvas.text(left, y, text, _TEXT)
        y += line
    return bottom


def _draw_lines(canvas: Canvas, lines: Sequence[str], style: TextStyle, y: float) -> float:
    for line in lines:
        canvas.text(_LEFT, y, line, style)
        y += style.line_px
    return y


def _draw_times(canvas: Canvas, sheet: Sheet, columns: _Columns, y: float) -> float:
    """Draw the time of each column, and below it the top class of the window where it is another one."""
    strip = sheet.blocks[0].strip
    for moment, left in zip(sheet.moments, columns.lefts(), strict=True):
        time = strip.time_label(moment.seconds, digits=2)
        canvas.text(left, y, time, _ROW)
        _draw_rest(canvas, moment.note, left + canvas.width_of(time, _ROW) + 12, y, left + columns.text_width)
    y += _ROW.line_px
    if any(moment.top_class for moment in sheet.moments):
        for moment, left in zip(sheet.moments, columns.lefts(), strict=True):
            canvas.text(left, y, canvas.elide(moment.top_class, _WARNING, columns.text_width), _WARNING)
        y += _WARNING.line_px
    return y + 4


def _draw_rest(canvas: Canvas, text: str, left: float, y: float, right: float) -> None:
    """Draw a grey text between two positions, elided; nothing if there is no room for a word."""
    if text and right - left > 5 * _GREY.size_px:
        canvas.text(left, y, canvas.elide(text, _GREY, right - left), _GREY)


def _draw_frames(canvas: Canvas, frames: Sequence[Frame], columns: _Columns, y: float) -> float:
    top = round(y)
    for frame, left in zip(frames, columns.lefts(), strict=True):
        canvas.picture(left, top, frame, size=columns.cell)
    return top + columns.cell[0] + _GAP


def _draw_row(canvas: Canvas, row: SheetRow, columns: _Columns, look: tuple[str, tuple[float, ...]], y: float) -> float:
    """Draw the name of a map with the line of its curve, and its frames below."""
    (colour, pattern), (swatch, width_px, gap, _) = look, _STRIP.swatch_px
    middle = y + _ROW.line_px / 2
    dashes = tuple(length * _STRIP.line_px for length in pattern)
    canvas.line([_LEFT, _LEFT + swatch], [middle, middle], colour, width_px=width_px, dashes_px=dashes)
    left = _LEFT + swatch + gap
    word, style = signed_word(row.word), replace(_ROW, colour=ON_WHITE[row.word])
    name = canvas.elide(row.name, _ROW, _RIGHT - left - canvas.width_of(word, style) - 18)
    canvas.text(left, y, name, _ROW)
    left += canvas.width_of(name, _ROW) + 18
    canvas.text(left, y, word, style)
    _draw_rest(canvas, row.note, left + canvas.width_of(word, style) + 18, y, _RIGHT)
    return _draw_frames(canvas, row.frames, columns, y + _ROW.line_px + 2)


def _draw_strips(canvas: Canvas, sheet: Sheet, columns: _Columns, looks: Looks, y: float) -> float:
    """Draw the strip of each block, and lines from the columns to their times on the first strip."""
    has_windows, is_one = any(block.has_windows for block in sheet.blocks), len(sheet.blocks) == 1
    left, right = _LEFT + _SCALE_WIDTHS[has_windows], _RIGHT - 20  # half of a tick's label
    places = sheet.blocks[0].strip.x(sheet.seconds, left, right)
    for centre, x in zip(columns.centres(), places, strict=True):
        canvas.line([centre, x], [y, y + _LEADER_HEIGHT], _RULE_COLOUR, width_px=1.5)
    y += _LEADER_HEIGHT
    for number, block in enumerate(sheet.blocks):
        if not is_one:
            y += 8 if number else 0
            canvas.text(left, y, canvas.elide(block.name, _ROW, right - left), _ROW)
            y += _ROW.line_px + 4
        box = (left, y, right, y + _STRIP_HEIGHTS[not is_one])
        style = _style_of(block, looks)
        y = draw_strip(canvas, block.strip, style, box, frame_seconds=sheet.seconds)
    return y


def _style_of(block: SheetBlock, looks: Looks) -> StripStyle:
    """Return the style in which each curve of a block has its look."""
    colours, dashes = zip(*(looks[name] for name in block.strip.evidence), strict=True)
    return replace(_STRIP, colours=colours, dashes=dashes, has_windows=block.has_windows)


def _draw_legend(canvas: Canvas, sheet: Sheet, looks: Looks, y: float) -> float:
    """Draw the legend of all strips, and the colour bar on its right."""
    caption = "Evidence over time, relative to the peak of the method"
    if any(block.has_windows for block in sheet.blocks):
        caption += "; below: windows, and the top class of each"
    height, width = _BAR_HEIGHT, _BAR_WIDTH
    right = _RIGHT - 24 - width
    steps = sheet.table[np.linspace(0, 255, width).round().astype(int)]
    canvas.picture(right, round(y + (_TEXT.line_px - height) / 2), np.broadcast_to(steps, (height, width, 3)))
    canvas.text(right - 12, y, "evidence 0", _TEXT, align="right")
    canvas.text(_RIGHT, y, "1", _TEXT, align="right")
    canvas.text(_LEFT, y, caption, _GREY)
    strip = sheet.blocks[0].strip
    evidence = dict.fromkeys(looks, strip.seconds * 0.0)
    merged = replace(strip, evidence=evidence, probability_of="")
    style = replace(_STRIP, colours=tuple(colour for colour, _ in looks.values()))
    return draw_legend(canvas, merged, style, (_LEFT, y + _TEXT.line_px, _RIGHT)) + _TEXT.line_px


def _draw_facts(canvas: Canvas, facts: Sequence[str], y: float) -> float:
    if not facts:
        return y
    canvas.line([_LEFT, _RIGHT], [y, y], _RULE_COLOUR)
    return _draw_lines(canvas, [line for text in facts for line in canvas.wrap(text, _FACT, _WIDTH)], _FACT, y + 12)
