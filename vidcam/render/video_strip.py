"""Draw the time strip below a video, with a playhead.

From top to bottom it shows the legend, the curves of evidence and probability, the windows, their top labels, and the
time. The strip is drawn once. Only the playhead is drawn for each frame.
"""

from __future__ import annotations

from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.caption_plan import MIN_UNIT_PX
from vidcam.render.overlay import Frame
from vidcam.render.strip import TimeStrip
from vidcam.render.strip_drawing import DASHES, StripStyle, draw_legend, draw_strip

BACKGROUND = "#15171b"
BRIGHT_COLOURS = ("#ffb000", "#4cc3ff", "#7ee081", "#ff7ab6", "#c7a6ff", "#ffd9a0", "#9fe8e0", "#f2f2f2")

_HEIGHT_UNITS = 8.6  # height as a multiple of the font size


def unit_of(size: tuple[int, int]) -> int:
    """Return the font size in pixels for a frame of (height, width): 1/28 of the shorter side, at least 11."""
    return max(MIN_UNIT_PX, round(min(size) / 28))


def strip_height(size: tuple[int, int]) -> int:
    """Return the height of the strip below a frame of (height, width). It is an even number of pixels."""
    return 2 * round(unit_of(size) * _HEIGHT_UNITS / 2)


class VideoStrip:
    """The drawn strip, to which `at` adds the playhead.

    Args:
        strip: content of the strip.
        size: (height, width) of the frames above the strip.
    """

    def __init__(self, strip: TimeStrip, size: tuple[int, int]) -> None:
        self._strip, self._unit, width = strip, unit_of(size), size[1]
        unit, canvas, style = self._unit, Canvas(width), _style(self._unit)
        self._left, self._right = round(1.2 * unit), width - round(1.2 * unit)
        y = draw_legend(canvas, strip, style, (self._left, round(0.2 * unit), self._right), rows=1)
        top = y + style.legend.line_px + 0.15 * unit
        bottom = top + 2.6 * unit
        draw_strip(canvas, strip, style, (self._left, top, self._right, bottom))
        self._playhead = slice(round(top), round(bottom + 2.2 * unit))
        self._picture = canvas.to_pixels(strip_height(size), background=BACKGROUND)

    def at(self, second: float) -> Frame:
        """Return the strip with the playhead at a time, (h, W, 3) uint8, a new array."""
        picture = self._picture.copy()
        half_line, x = self._unit // 14, round(float(self._strip.x(second, self._left, self._right)))
        half_shadow = 2 * half_line + 1
        picture[self._playhead, max(0, x - half_shadow) : x + half_shadow + 1] //= 2
        picture[self._playhead, max(0, x - half_line) : x + half_line + 1] = 255
        return picture


def _style(unit: int) -> StripStyle:
    """Make a light style on a dark background. All sizes are proportional to the font size."""
    text = TextStyle(round(0.9 * unit), "#a9aeb8")
    return StripStyle(
        unit_px=unit,
        text=text,
        legend=text,
        swatch_px=(0.8 * unit, 0.4 * unit, 0.3 * unit, 1.2 * unit),
        colours=BRIGHT_COLOURS,
        dashes=DASHES,
        grid_colour="#3a3f47",
        line_px=max(1.5, unit / 7),
        opacity=0.45,
        edge_px=0.0,
        scale=(0.0,),
        has_windows=True,
        evidence_text="evidence, {}",
        probability_text="probability{}",
    )
