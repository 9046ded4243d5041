"""Drawing a time strip: curves, probability, windows and legend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.strip import TimeStrip
from vidcam.render.strip_drawing import LABEL_COLOURS, PROBABILITY_COLOUR, StripStyle, draw_legend, draw_strip

COLOURS = ("#ff0000", "#0000ff")
STYLE = StripStyle(
    unit_px=20,
    text=TextStyle(17),
    legend=TextStyle(19),
    swatch_px=(24, 6, 10, 36),
    colours=COLOURS,
    dashes=((),),
    grid_colour="#ffff00",
    line_px=3,
    opacity=1.0,
    edge_px=0.0,
    scale=(0.0, 0.5, 1.0),
    has_windows=False,
    evidence_text="evidence of {}",
    probability_text="probability{}",
)
BOX = (100, 10, 900, 210)
WINDOWS = [(0.0, 2.0, 0.25), (6.0, 10.0, 0.75)]


def strip(**evidence: float) -> TimeStrip:
    seconds = np.linspace(0.0, 10.0, 11)
    curves = {name: np.full(11, value) for name, value in evidence.items()}
    return TimeStrip((0.0, 10.0), seconds, curves, WINDOWS, ["running", "jumping"], "yoga")


def covered(picture: NDArray[np.uint8], colour: str) -> NDArray[np.bool_]:
    """Return a mask (H, W) of the pixels with a colour."""
    rgb = [int(colour[index : index + 2], 16) for index in (1, 3, 5)]
    return np.asarray((picture == rgb).all(axis=2))


def drawn(style: StripStyle, **evidence: float) -> tuple[NDArray[np.uint8], float]:
    canvas = Canvas(1000)
    end = draw_strip(canvas, strip(**evidence), style, BOX, frame_seconds=[2.5])
    return canvas.to_pixels(400), end


def test_the_probability_is_an_area_with_gaps_between_windows() -> None:
    heights = covered(drawn(replace(STYLE, scale=()))[0], PROBABILITY_COLOUR).sum(axis=0)
    for second, height in ((1.0, 50), (4.0, 0), (8.0, 150)):
        assert heights[round(100 + 80 * second)] == pytest.approx(height, abs=2)


def test_colours_and_heights_of_the_curves() -> None:
    picture, _ = drawn(STYLE, a=0.25, b=0.75)
    for colour, value in zip(COLOURS, (0.25, 0.75), strict=True):
        rows = np.flatnonzero(covered(picture, colour)[:, 500])
        assert rows.mean() == pytest.approx(210 - 200 * value, abs=1.5)


def test_of_two_equal_curves_both_are_visible() -> None:
    picture, _ = drawn(replace(STYLE, dashes=((), (20.0, 10.0))), a=0.5, b=0.5)
    shares = [covered(picture, colour)[:, 100:900].any(axis=0).mean() for colour in COLOURS]
    assert shares == pytest.approx([1 / 3, 2 / 3], abs=0.1)


def test_grid_lines() -> None:
    grid = covered(drawn(STYLE)[0], STYLE.grid_colour)
    assert [row for row in (10, 110, 210) if grid[row - 1 : row + 1, 550].any()] == [10, 110, 210]
    assert grid[20:100, 299:301].any(axis=1).all()


@pytest.mark.parametrize("has_windows", [False, True])
def test_windows_and_top_labels_are_optional(has_windows: bool) -> None:
    picture, end = drawn(replace(STYLE, has_windows=has_windows))
    for colour, columns in zip(LABEL_COLOURS[:2], ([100, 459], [460, 899]), strict=True):  # centres at 1 s and at 8 s
        covered_columns = np.flatnonzero(covered(picture[210:], colour).any(axis=0))
        ends = [covered_columns.min(), covered_columns.max() + 1] if covered_columns.size else []
        assert ends == (columns if has_windows else [])
    assert end == 210 + 8 + STYLE.text.line_px + (2.15 * 20 if has_windows else 0)


def legend(names: list[str], right: int, rows: int | None) -> tuple[NDArray[np.uint8], float]:
    canvas = Canvas(1000)
    y = draw_legend(canvas, strip(**dict.fromkeys(names, 0.5)), STYLE, (100, 10, right), rows=rows)
    return canvas.to_pixels(300), y


def test_rows_of_the_legend() -> None:
    names = ["first", "second"]
    cases = ((990, None, 3, 0), (350, None, 3, 2), (350, 1, 1, 0), (620, None, 3, 1), (620, 1, 2, 0))
    for right, rows, swatches, last_row in cases:
        picture, y = legend(names, right, rows)
        assert y == 10 + last_row * STYLE.legend.line_px
        assert sum(covered(picture, colour).any() for colour in (*COLOURS, PROBABILITY_COLOUR)) == swatches
        assert (picture[:, right:] == 255).all()


def test_a_long_name_is_elided() -> None:
    picture, y = legend(["n" * 400], 300, 1)
    assert y == 10
    assert covered(picture, COLOURS[0]).any()
    assert (picture[:, 300:] == 255).all()
