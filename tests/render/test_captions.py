"""Captions: legible text on any frame, elided labels, the colour bar, and a free place for the time."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from vidcam.render.caption_plan import CaptionPlan, caption_plan
from vidcam.render.caption_text import Caption, Row
from vidcam.render.captions import ColourBar, draw_caption
from vidcam.render.colormap import colour_table
from vidcam.render.verdict_text import ON_BLACK
from vidcam.results.verdict import VerdictWord

CAPTION = Caption((Row("arm wrestling", after=" 93 %"), Row("tai chi", "next: ", " 2.1 %")), "gradcam++")


def plan(size: tuple[int, int], caption: Caption = CAPTION, *, ends: tuple[str, str] = ("0", "0.0321")) -> CaptionPlan:
    made = caption_plan([caption], [ends], size, end_seconds=12.0)
    assert made is not None
    return made


@pytest.mark.parametrize("brightness", [0, 128, 255])
@pytest.mark.parametrize("size", [(240, 320), (2160, 3840)])
def test_text_is_legible_on_any_frame(size: tuple[int, int], brightness: int) -> None:
    frame, made = np.full((*size, 3), brightness, np.uint8), plan(size)
    draw_caption(made, CAPTION, ColourBar(colour_table(), (0.0, 0.0321))).over(frame, 5, 5)
    left, top, width = made.text_cells[0]
    row = frame[5 + top : 5 + top + made.unit_px, 5 + left : 5 + left + width]
    assert row.max() == 255
    assert int(np.median(row)) <= 100  # a contrast ratio of at least 6
    assert (row > 200).all(axis=2).mean() > 0.02


def test_each_part_is_drawn_in_its_cell() -> None:
    """Text of one row only: the other rows stay black."""
    made = plan((480, 640))
    parts = {
        0: Caption((Row("title"), Row())),
        1: Caption((Row(), Row("second"))),
        2: Caption((Row(), Row()), "method"),
    }
    assert made.method_cell is not None
    tops = [*(cell[1] for cell in made.text_cells), made.method_cell[1]]
    for number, caption in parts.items():
        rows = np.flatnonzero((draw_caption(made, caption, None).premultiplied > 127).any(axis=(1, 2)))
        assert tops[number] <= rows[0] <= rows[-1] < tops[number] + (tops[1] - tops[0])


@pytest.mark.parametrize("word", get_args(VerdictWord))
def test_the_verdict_stands_beside_the_method_in_its_colour(word: VerdictWord) -> None:
    """Its colour is legible on the dark box, and is nowhere without it."""
    caption = replace(CAPTION, word=word)
    made = plan((480, 640), caption)
    assert made.has_word
    assert made.method_cell is not None
    left, top, _ = made.method_cell
    said, silent = (draw_caption(made, each, None).premultiplied[top:] // 255 for each in (caption, CAPTION))
    columns = np.flatnonzero((said != silent).any(axis=(0, 2)))
    assert columns[0] > left + len(CAPTION.method) * made.unit_px / 2
    added = said[said.max(axis=2) > silent.max(axis=2)]
    assert added.max() > 200
    colour = [int(ON_BLACK[word][index : index + 2], 16) for index in (1, 3, 5)]
    assert (np.abs(said.astype(int) - colour).max(axis=2) < 8).any()


def test_a_small_frame_shows_the_sign_of_the_verdict_alone() -> None:
    caption = Caption((Row("archery", after=" 61 %"),), "neutral-gradcam", "unreliable")
    plans = [caption_plan([caption], [], (side, side), end_seconds=None) for side in range(120, 400, 4)]
    words = [made.has_word for made in plans if made is not None and made.method_cell is not None]
    assert words == sorted(words)
    assert {False, True} == set(words)


def test_a_long_label_is_elided_and_the_probability_is_not() -> None:
    label = "a very long label of a very unusual activity indeed"
    long, other = (Caption((Row(label, after=f" {number} %"),)) for number in (93, 94))
    made = caption_plan([long], [], (144, 176), end_seconds=None)
    assert made is not None
    left, _, width = made.text_cells[0]
    assert made.size[1] < 176
    drawn, changed = (draw_caption(made, each, None).premultiplied for each in (long, other))
    assert (drawn[:, left + width :] == 127).all()
    columns = np.flatnonzero((drawn != changed).any(axis=(0, 2)))  # of the second digit
    assert left + width - 30 < columns[0] <= columns[-1] < left + width - 8


@pytest.mark.parametrize("table", ["viridis", "inferno"])
def test_the_colour_bar_shows_all_colours_opaquely(table: str) -> None:
    made, colours = plan((480, 640)), colour_table(table)
    frame = np.full((*made.size, 3), 200, np.uint8)
    draw_caption(made, CAPTION, ColourBar(colours, (0.0, 0.0321))).over(frame, 0, 0)
    assert made.bar_cell is not None
    left, top, width = made.bar_cell
    middle = frame[top + made.unit_px * 7 // 10, left : left + width]
    first, last = ((middle == colours[end]).all(axis=1).argmax() for end in (0, 255))
    assert 0 < first < last
    assert (np.diff(middle[first:last].astype(int).sum(axis=1)) >= -3).all()  # brighter to the right


@pytest.mark.parametrize(
    ("raw", "ends"),
    [((0.0, 0.03214), ("0", "0.0321")), ((-250.0, 250.0), ("−250", "250")), ((1e-9, 1.0), ("1e−09", "1"))],
)
def test_the_ends_of_the_bar_are_raw_values(raw: tuple[float, float], ends: tuple[str, str]) -> None:
    assert ColourBar(colour_table(), raw).ends == ends


def test_the_place_of_the_time_is_left_free() -> None:
    made, frame = plan((240, 320)), np.full((240, 320, 3), 77, np.uint8)
    draw_caption(made, CAPTION, None).over(frame, 0, 0)
    assert made.clock is not None
    left, top, width = made.clock
    assert (frame[top : top + made.unit_px, left : left + width] == 77).all()
    assert (frame[top : top + made.unit_px, left - 3 : left] < 77).all()
