"""Choose the size of a caption and the parts that a frame has room for, once for a whole video.

The font size depends on the size of the frame, so that text is equally legible in a small frame and in 4K. A box inside
the frame covers at most a sixth of it. Parts that do not fit are left out in this order: the details, the colour bar,
the time, the method, and the rows from the last one to the second.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from vidcam.render.box import clock_width
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.caption_text import Caption, Row
from vidcam.render.verdict_text import SIGNS, signed_word
from vidcam.results.verdict import VerdictWord

MIN_UNIT_PX = 11
"""Smallest legible font size."""

LARGEST_SHARE = 6
"""A box inside the frame covers at most 1 / LARGEST_SHARE of it."""

_LABEL_UNITS = (8, 4)  # widths to which labels may be shortened: usually, and if the frame is narrow
_SHORTEST_LABEL_UNITS = 3  # if all else was left out
_BAR_UNITS, _EXTRA_BAR_UNITS = 5, 8  # least length of the colour bar, and how much longer it is in a wide margin

Cell = tuple[int, int, int]
"""(left, top, width) of a row inside the box, in pixels."""


def unit_of(size: tuple[int, int]) -> int:
    """Return the font size in pixels for a frame of (height, width): 1/36 of the shorter side, at least 11."""
    return max(MIN_UNIT_PX, round(min(size) / 36))


def text_gap(unit_px: int) -> int:
    """Return the distance between texts in a row."""
    return round(0.6 * unit_px)


def bar_height(unit_px: int) -> int:
    """Return the height of the colour bar."""
    return round(0.75 * unit_px)


@dataclass(frozen=True, slots=True)
class CaptionPlan:
    """The size and the parts of the captions of a video.

    Attributes:
        unit_px: font size.
        size: (height, width) of the box.
        text_cells: places of the rows of text.
        has_detail: whether rows show their details.
        method_cell: place of the method and its verdict; None without it.
        has_word: whether the verdict has its word, not its sign alone.
        clock: place of the time, at the right; None without it.
        bar_cell: place of the colour bar; None without it.
        missing: names of the parts that were left out.
    """

    unit_px: int
    size: tuple[int, int]
    text_cells: tuple[Cell, ...]
    has_detail: bool
    method_cell: Cell | None
    has_word: bool
    clock: Cell | None
    bar_cell: Cell | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    rows: int
    detail: bool = False
    bar: bool = False
    clock: bool = False
    method: bool = False
    word: bool = False
    label_units: int = _LABEL_UNITS[0]


def caption_plan(
    captions: Collection[Caption],
    bar_ends: Collection[tuple[str, str]],
    size: tuple[int, int],
    *,
    end_seconds: float | None,
    in_margin: bool = False,
) -> CaptionPlan | None:
    """Choose the parts of the captions of a video.

    Args:
        captions: all texts that the box will show, at least one.
        bar_ends: texts at the ends of the colour bars; empty: no colour bar.
        size: (height, width) of the frame.
        end_seconds: the latest time to show; None: no time.
        in_margin: whether the captions are in a margin as wide as the frame.

    Returns:
        The plan, or None if the frame has no room for any caption. The height of a margin is odd if the frame's is, so
        that both together are even.
    """
    full = _Parts(
        rows=max(len(caption.rows) for caption in captions),
        detail=any(row.detail for caption in captions for row in caption.rows),
        bar=bool(bar_ends),
        clock=end_seconds is not None,
        method=any(caption.method for caption in captions),
        word=any(caption.word for caption in captions),
    )
    measure = _Measure(captions, bar_ends, unit_of(size), end_seconds or 0.0)
    for parts in _candidates(full):
        plan = measure.margin(parts, full, size) if in_margin else measure.inside(parts, full, size)
        if plan is not None:
            return plan
    return None


def _candidates(full: _Parts) -> Iterator[_Parts]:
    """Yield the parts to try, the most first. Details go first; before any other part, labels are shortened."""
    words = [_Parts(full.rows, bar=full.bar, clock=full.clock, method=full.method, word=True)] if full.word else []
    rows, method, clock = full.rows, full.method, full.clock
    yield full
    fewer = [
        *words,
        _Parts(rows, bar=full.bar, clock=clock, method=method),
        _Parts(rows, clock=clock, method=method),
        _Parts(rows, method=method),
        *(_Parts(count) for count in range(rows, 0, -1)),
    ]
    for parts in fewer:
        yield from (replace(parts, label_units=units) for units in _LABEL_UNITS)
    yield _Parts(1, label_units=_SHORTEST_LABEL_UNITS)


class _Measure:
    """Widths of the rows of all captions of a video."""

    def __init__(
        self, captions: Collection[Caption], bar_ends: Collection[tuple[str, str]], unit: int, end_seconds: float
    ) -> None:
        self._bar_ends, self._unit, self._end, self._canvas = bar_ends, unit, end_seconds, Canvas(1)
        numbered = [(number, row) for caption in captions for number, row in enumerate(caption.rows)]
        self._rows = dict.fromkeys((number, _without_digits(row)) for number, row in numbered)
        self._methods = {(caption.method, caption.word) for caption in captions}
        self._line, self._pad = TextStyle(unit).line_px, max(3, round(unit * 0.45))

    def _width_of(self, text: str, *, is_bold: bool = False) -> float:
        return self._canvas.width_of(text, TextStyle(self._unit, bold=is_bold)) if text else 0.0

    def inside(self, parts: _Parts, full: _Parts, size: tuple[int, int]) -> CaptionPlan | None:
        """Plan a box of one column inside a frame; None if it would be too large."""
        least, wanted = self._widths(parts)
        height = len(wanted) * self._line + 2 * self._pad
        edge = edge_px(self._unit)
        limit = min(size[1] - 2 * edge, size[0] * size[1] // LARGEST_SHARE // height)
        if height + 2 * edge > size[0] // 2 or max(least) + 2 * self._pad > limit:
            return None
        width = min(limit, max(wanted) + 2 * self._pad)
        cells = self._column(len(wanted), self._pad, width - 2 * self._pad)
        return self._plan(parts, full, (height, width), cells, clock_line=parts.rows)

    def margin(self, parts: _Parts, full: _Parts, size: tuple[int, int]) -> CaptionPlan | None:
        """Plan a margin as wide as the frame; None if the frame is too narrow.

        If there is room, the colour bar and the time are in a column of their own at the right.
        """
        least, wanted = self._widths(parts)
        inner, lines, clock_line = size[1] - 2 * self._pad, len(wanted), parts.rows
        if max(least) > inner:
            return None
        cells = self._column(lines, self._pad, inner)
        right = wanted[-1] + _EXTRA_BAR_UNITS * self._unit
        if parts.bar and parts.clock and max(wanted[:-1]) + 2 * self._unit + right <= inner:
            lines, clock_line = max(2, lines - 1), 1
            cells = [*cells[:-1], (self._pad + inner - right, self._pad, right)]
        height = lines * self._line + 2 * self._pad
        return self._plan(parts, full, (height + (height + size[0]) % 2, size[1]), cells, clock_line=clock_line)

    def _column(self, count: int, left: int, width: int) -> list[Cell]:
        return [(left, self._pad + number * self._line, width) for number in range(count)]

    def _plan(
        self, parts: _Parts, full: _Parts, size: tuple[int, int], cells: list[Cell], *, clock_line: int
    ) -> CaptionPlan:
        clock_px = clock_width(self._unit, self._end)
        clock = size[1] - self._pad - clock_px, self._pad + clock_line * self._line, clock_px
        missing = {
            "further classes": parts.rows < full.rows,
            "the method": full.method and not parts.method,
            "the time": full.clock and not parts.clock,
            "the colour bar": full.bar and not parts.bar,
        }
        return CaptionPlan(
            unit_px=self._unit,
            size=size,
            text_cells=tuple(cells[: parts.rows]),
            has_detail=parts.detail,
            method_cell=cells[parts.rows] if parts.method else None,
            has_word=parts.word,
            clock=clock if parts.clock else None,
            bar_cell=cells[-1] if parts.bar else None,
            missing=tuple(name for name, is_missing in missing.items() if is_missing),
        )

    def _widths(self, parts: _Parts) -> tuple[list[int], list[int]]:
        """Return the least and the wanted width of each row: of the text, of method and time, of the colour bar."""
        least, wanted = [], []
        for number in range(parts.rows):
            rows = [row for position, row in self._rows if position == number]
            pairs = [self._row_widths(row, parts, is_title=number == 0) for row in rows]
            least.append(max(pair[0] for pair in pairs))
            wanted.append(max(pair[1] for pair in pairs))
        if parts.method or parts.clock:
            method = max(self._method_width(method, word, parts) for method, word in self._methods) * parts.method
            clock = clock_width(self._unit, self._end) * parts.clock
            both = method + clock + text_gap(self._unit) * (method > 0 and clock > 0)
            least.append(both)
            wanted.append(both)
        if parts.bar:
            ends = max(sum(self._width_of(text) for text in pair) for pair in self._bar_ends)
            bar = ends + 2 * text_gap(self._unit) + _BAR_UNITS * self._unit
            least.append(bar)
            wanted.append(bar)
        return [round(width) for width in least], [round(width) + 1 for width in wanted]

    def _method_width(self, method: str, word: VerdictWord | None, parts: _Parts) -> float:
        text = "" if word is None else signed_word(word) if parts.word else SIGNS[word]
        return self._width_of(method) + (text_gap(self._unit) + self._width_of(text)) * bool(text)

    def _row_widths(self, row: Row, parts: _Parts, *, is_title: bool) -> tuple[float, float]:
        label = self._width_of(row.label, is_bold=is_title)
        others = sum(self._width_of(text) for text in (row.before, row.after, row.detail * parts.detail))
        return others + min(label, parts.label_units * self._unit), others + label


def edge_px(unit_px: int) -> int:
    """Return the distance of a box from the edges of its frame."""
    return max(3, unit_px // 2)


def _without_digits(row: Row) -> Row:
    """Replace all digits by 0: they have one width, and few different rows are left to measure."""
    return Row(*(re.sub(r"\d", "0", text) for text in (row.label, row.before, row.after, row.detail)))
