"""Captions and the colour bar: font size, position, contrast, and frames that are too small for them."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.render.captions import (
    MIN_UNIT_PX,
    caption_box,
    caption_lines,
    colour_bar_box,
    is_small_beside,
    percent,
    unit_of,
)
from vidcam.render.colormap import colour_table

LINES = ("arm wrestling", "93 % · gradcam++")


@pytest.mark.parametrize(
    ("size", "unit"), [((240, 320), 11), ((256, 340), 11), ((1080, 1920), 39), ((2160, 3840), 77), ((1920, 1080), 39)]
)
def test_font_size_depends_on_the_frame(size: tuple[int, int], unit: int) -> None:
    assert unit_of(size) == unit >= MIN_UNIT_PX


@pytest.mark.parametrize("brightness", [0, 128, 255])
@pytest.mark.parametrize("size", [(240, 320), (2160, 3840)])
def test_text_is_legible_on_any_frame(size: tuple[int, int], brightness: int) -> None:
    frame = np.full((*size, 3), brightness, np.uint8)
    box = caption_box(LINES, unit_of(size), size[1] - 20)
    assert box.over(frame, "top left", 5)
    height, width = box.transparency.shape[:2]
    inside = frame[5 : 5 + height, 5 : 5 + width]
    background = int(np.median(inside))
    assert inside.max() == 255
    assert background <= 100  # a contrast ratio of at least 6
    assert (inside > 200).all(axis=2).mean() > 0.02
    outside = frame.copy()
    outside[5 : 5 + height, 5 : 5 + width] = brightness
    assert (outside == brightness).all()


def test_a_long_caption_is_elided() -> None:
    box = caption_box(("a very long label of a very unusual activity indeed",), 12, 120)
    assert box.transparency.shape[1] <= 120


@pytest.mark.parametrize(
    ("size", "lines"), [((103, 320), 0), ((104, 80), 1), ((167, 300), 1), ((168, 300), 2), ((2160, 3840), 2)]
)
def test_a_caption_covers_at_most_a_quarter_of_the_rows(size: tuple[int, int], lines: int) -> None:
    assert caption_lines(size, unit_of(size)) == lines
    if lines:
        assert caption_box(LINES[:lines], unit_of(size), size[1]).transparency.shape[0] <= size[0] / 4


def test_the_colour_bar_covers_at_most_an_eighth_of_the_frame() -> None:
    box = colour_bar_box(colour_table(), 11, (0.0, 0.0321))
    height, width = box.transparency.shape[:2]
    assert is_small_beside(box, (2 * height, 4 * width))
    assert not is_small_beside(box, (2 * height, 4 * width - 1))
    assert is_small_beside(box, (180, 320))
    assert not is_small_beside(box, (120, 160))


def test_a_box_that_does_not_fit_is_not_drawn() -> None:
    frame = np.full((40, 60, 3), 9, np.uint8)
    assert not caption_box(LINES, 11, 400).over(frame, "top left", 3)
    assert (frame == 9).all()


def test_the_colour_bar_shows_both_ends_of_the_table() -> None:
    table = colour_table("viridis")
    frame = np.full((240, 320, 3), 200, np.uint8)
    box = colour_bar_box(table, 12, (0.0, 0.0321))
    assert box.over(frame, "bottom right", 6)
    height, width = box.transparency.shape[:2]
    drawn = frame[240 - 6 - height : 240 - 6, 320 - 6 - width : 320 - 6].reshape(-1, 3)
    for colour in (table[0], table[255]):
        assert (drawn == colour).all(axis=1).any()


def test_the_colour_bar_shows_the_raw_values() -> None:
    short, long = (colour_bar_box(colour_table(), 12, (0.0, high)) for high in (1.0, 0.000123))
    assert short.transparency.shape[1] <= long.transparency.shape[1]
    assert not np.array_equal(short.premultiplied, long.premultiplied[:, : short.premultiplied.shape[1]])


@pytest.mark.parametrize(
    ("probability", "text", "exact"),
    [
        (0.0, "0 %", "0.0 %"),
        (0.00001, "< 1 %", "< 0.1 %"),
        (0.0004, "< 1 %", "< 0.1 %"),
        (0.001, "< 1 %", "0.1 %"),
        (0.005, "< 1 %", "0.5 %"),
        (0.006, "1 %", "0.6 %"),
        (0.932, "93 %", "93.2 %"),
        (0.994, "99 %", "99.4 %"),
        (0.9951, "> 99 %", "99.5 %"),
        (0.9999, "> 99 %", "> 99.9 %"),
        (0.99996, "> 99 %", "> 99.9 %"),
        (1.0, "100 %", "100.0 %"),
    ],
)
def test_percentages_never_round_to_0_or_100(probability: float, text: str, exact: str) -> None:
    assert percent(probability) == text
    assert percent(probability, digits=1) == exact
