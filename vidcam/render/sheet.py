"""Draw the contact sheet, one PNG with methods × frames, a time strip of evidence, and the sentences of the audit.

All sizes are in pixels. A thin line connects each column of frames with its time on the time strip. Long text is
wrapped or elided. Frames may be portrait or landscape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from vidcam.errors import ShapeError
from vidcam.media import Seconds
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import PLOT_COLOURS, ColourTable
from vidcam.render.overlay import Frame
from vidcam.render.strip import TimeStrip
from vidcam.render.strip_drawing import StripStyle, curve_colours, draw_legend, draw_strip

SHEET_WIDTH_PX = 1800

_MARGIN, _GAP = 44, 6
_MAX_CELL_HEIGHT = 400
_STRIP_HEIGHT, _LEADER_HEIGHT = 170, 36
_BAR_SIZE = (14, 220)  # (height, width) of the colour bar
_RULE_COLOUR = "#b9bec6"

_TITLE = TextStyle(32, bold=True)
_TARGET = TextStyle(26)
_MODEL = TextStyle(20, "#5c6068")
_ROW = TextStyle(20, bold=True)
_TIME = TextStyle(18, "#5c6068")
_LEGEND = TextStyle(19, "#33363b")
_AUDIT = TextStyle(20, "#33363b")
_STRIP = StripStyle(
    unit_px=20,
    text=TextStyle(17, "#5c6068"),
    legend=_LEGEND,
    swatch_px=(24, 6, 10, 36),
    colours=PLOT_COLOURS,
    grid_colour="#d9dce1",
    line_px=2.5,
    opacity=0.2,
    edge_px=1.5,
    scale=(0.0, 0.5, 1.0),
    has_windows=True,
    evidence_text="{} over time, relative to the method's peak",
    probability_text="probability of the target, mean of the windows",
)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """The content of a contact sheet.

    Attributes:
        title: name of the file.
        target: what was explained, such as 'yoga rather than tai chi – 93.2 %'.
        model: name of the model.
        layer: name of the explained layer.
        frame_seconds: (F,) time of each column. F is 1 to about 8.
        rows: method → F frames (H, W, 3) uint8 with the overlay.
        strip: time strip of the same methods.
        table: colour table of the evidence, (256, 3) uint8.
        source_frames: F frames without overlay for the first row; empty: no such row.
        audit: sentences below the strip.
    """

    title: str
    target: str
    model: str
    layer: str
    frame_seconds: Seconds
    rows: Mapping[str, Sequence[Frame]] = field(repr=False)
    strip: TimeStrip
    table: ColourTable = field(repr=False)
    source_frames: Sequence[Frame] = field(default=(), repr=False)
    audit: Sequence[str] = ()

    def __post_init__(self) -> None:
        columns = len(self.frame_seconds)
        if columns < 1 or not self.rows:
            raise ShapeError(f"a sheet needs at least one frame and one method, got {columns} and {len(self.rows)}")
        if set(self.strip.evidence) != set(self.rows):
            raise ShapeError(
                f"rows and strip must show the same methods, got {[*self.rows]} and {[*self.strip.evidence]}"
            )
        source_row = {"source_frames": self.source_frames} if len(self.source_frames) else {}
        for name, frames in {**self.rows, **source_row}.items():
            shapes = {frame.shape for frame in frames}
            if len(frames) != columns or len(shapes) != 1 or any(frame.dtype != np.uint8 for frame in frames):
                raise ShapeError(
                    f"{name!r} must be {columns} uint8 frames of the same size, got {len(frames)} with shapes {shapes}"
                )


@dataclass(frozen=True, slots=True)
class _Columns:
    """Positions of the columns of frames, in pixels."""

    left: int
    right: int
    count: int

    @property
    def pitch(self) -> float:
        return (self.right - self.left + _GAP) / self.count

    def centres(self) -> list[float]:
        return [self.left + (column + 0.5) * self.pitch - _GAP / 2 for column in range(self.count)]


def draw_sheet(sheet: Sheet) -> bytes:
    """Draw the contact sheet.

    Returns:
        A PNG file, `SHEET_WIDTH_PX` wide and as high as needed. The same sheet gives the same bytes.
    """
    canvas = Canvas(SHEET_WIDTH_PX)
    colours = curve_colours(sheet.strip, _STRIP)
    gutter = min(230.0, max(canvas.width_of(name, _ROW) for name in ("source", *sheet.rows))) + 34
    columns = _Columns(_MARGIN + round(gutter), SHEET_WIDTH_PX - _MARGIN, len(sheet.frame_seconds))
    y = _draw_header(canvas, sheet, 30)
    y = _draw_frames(canvas, sheet, columns, colours, round(y) + 16)
    y = _draw_times(canvas, sheet, columns, y)
    box = (columns.left, y, columns.right, y + _STRIP_HEIGHT)
    y = draw_strip(canvas, sheet.strip, _STRIP, box, frame_seconds=sheet.frame_seconds)
    legend_box = (columns.left, y + 14, columns.right - _BAR_SIZE[1] - 190)
    y = draw_legend(canvas, sheet.strip, _STRIP, legend_box)
    _draw_colour_bar(canvas, sheet.table, columns.right, y)
    y = _draw_audit(canvas, sheet, y + _LEGEND.line_px + 16)
    return canvas.to_png(round(y) + 30)


def _draw_header(canvas: Canvas, sheet: Sheet, y: float) -> float:
    width = SHEET_WIDTH_PX - 2 * _MARGIN
    canvas.text(_MARGIN, y, canvas.elide(sheet.title, _TITLE, width), _TITLE)
    y += _TITLE.line_px
    y = _draw_lines(canvas, canvas.wrap(sheet.target, _TARGET, width), _TARGET, y)
    return _draw_lines(canvas, canvas.wrap(f"{sheet.model}, layer {sheet.layer}", _MODEL, width), _MODEL, y)


def _draw_lines(canvas: Canvas, lines: Sequence[str], style: TextStyle, y: float) -> float:
    for line in lines:
        canvas.text(_MARGIN, y, line, style)
        y += style.line_px
    return y


def _draw_frames(canvas: Canvas, sheet: Sheet, columns: _Columns, colours: Mapping[str, str], y: int) -> int:
    if len(sheet.source_frames):
        y = _draw_row(canvas, "source", sheet.source_frames, columns, colour=_RULE_COLOUR, y=y)
    for method, frames in sheet.rows.items():
        y = _draw_row(canvas, method, frames, columns, colour=colours[method], y=y)
    return y


def _draw_row(canvas: Canvas, name: str, frames: Sequence[Frame], columns: _Columns, *, colour: str, y: int) -> int:
    size = frames[0].shape[:2]
    scale: float = min((int(columns.pitch) - _GAP) / size[1], _MAX_CELL_HEIGHT / size[0])
    height, width = (max(1, round(float(side) * scale)) for side in size)
    row_height = max(height, _ROW.line_px)  # very wide frames are lower than a line of text
    canvas.box(columns.left - 14, y, columns.left - 8, y + row_height, colour)
    _draw_name(canvas, name, columns, y + row_height / 2, max_lines=row_height // _ROW.line_px)
    for frame, centre in zip(frames, columns.centres(), strict=True):
        cell = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))
        canvas.picture(round(centre - width / 2), y + (row_height - height) // 2, cell)
    return y + row_height + _GAP


def _draw_name(canvas: Canvas, name: str, columns: _Columns, centre: float, *, max_lines: int) -> None:
    """Draw the name of a row left of its frames. Wrap it to at most `max_lines` lines and elide the rest."""
    width = columns.left - _MARGIN - 28
    lines = canvas.wrap(name, _ROW, width)
    if len(lines) > max_lines:
        lines = [*lines[: max_lines - 1], canvas.elide(" ".join(lines[max_lines - 1 :]), _ROW, width)]
    for number, line in enumerate(lines):
        canvas.text(columns.left - 26, centre + (number - len(lines) / 2) * _ROW.line_px, line, _ROW, align="right")


def _draw_times(canvas: Canvas, sheet: Sheet, columns: _Columns, y: float) -> float:
    """Draw the time of each column below it, and a line from there to that time on the strip."""
    strip_x = sheet.strip.x(sheet.frame_seconds, columns.left, columns.right)
    bottom = y + _TIME.line_px + _LEADER_HEIGHT
    for seconds, centre, x in zip(sheet.frame_seconds, columns.centres(), strip_x, strict=True):
        canvas.text(centre, y, sheet.strip.time_label(seconds, digits=2), _TIME, align="center")
        canvas.line([centre, x], [y + _TIME.line_px + 2, bottom], _RULE_COLOUR)
    return bottom


def _draw_colour_bar(canvas: Canvas, table: ColourTable, right: int, y: float) -> None:
    height, width = _BAR_SIZE
    left = right - 22 - width
    steps = table[np.linspace(0, 255, width).round().astype(int)]
    canvas.picture(left, round(y + (_LEGEND.line_px - height) / 2), np.broadcast_to(steps, (height, width, 3)))
    canvas.text(left - 10, y, "evidence 0", _LEGEND, align="right")
    canvas.text(right, y, "1", _LEGEND, align="right")


def _draw_audit(canvas: Canvas, sheet: Sheet, y: float) -> float:
    if not sheet.audit:
        return y
    canvas.line([_MARGIN, SHEET_WIDTH_PX - _MARGIN], [y, y], _RULE_COLOUR)
    y += 14
    for sentence in sheet.audit:
        y = _draw_lines(canvas, canvas.wrap(sentence, _AUDIT, SHEET_WIDTH_PX - 2 * _MARGIN), _AUDIT, y)
    return y
