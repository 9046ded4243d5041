"""The contact sheet: its bytes, its text and the positions of its pictures."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from tests.pipelines.conftest import sheet_as_text
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import PLOT_COLOURS, colour_table
from vidcam.render.sheet import SHEET_FORMATS, ClassLine, Moment, Sheet, SheetBlock, SheetFormat, SheetRow
from vidcam.render.sheet_drawing import SHEET_WIDTH_PX, draw_sheet
from vidcam.render.strip import TimeStrip
from vidcam.render.strip_drawing import LABEL_COLOURS
from vidcam.render.verdict_text import ON_WHITE
from vidcam.results.verdict import Verdict, VerdictWord

STYLE = TextStyle(20)
STYLE_OF_LINES = TextStyle(24)
RED, BLUE, GREEN = (250, 10, 20), (20, 30, 240), (10, 200, 30)


def video(colour: tuple[int, int, int], count: int = 3, size: tuple[int, int] = (90, 160)) -> list[NDArray[np.uint8]]:
    return [np.full((*size, 3), colour, dtype=np.uint8) for _ in range(count)]


def strip(*curves: str) -> TimeStrip:
    seconds = np.linspace(0.0, 4.0, 9)
    evidence = dict.fromkeys(curves, seconds / 4)
    return TimeStrip((0.0, 4.0), seconds, evidence, [(0.0, 2.0, 0.5), (1.0, 3.0, 0.9), (3.5, 4.0, 0.1)])


def block(rows: dict[str, list[NDArray[np.uint8]]], name: str = "yoga") -> SheetBlock:
    return SheetBlock(name, [SheetRow(row, frames, row, "reliable") for row, frames in rows.items()], strip(*rows))


def sheet(count: int = 3, size: tuple[int, int] = (90, 160)) -> Sheet:
    return Sheet(
        title="video.mp4",
        subtitle="i3d, layer Mixed_5c",
        verdicts=[("gradcam", Verdict("reliable", "keeps 62 % at half area"))],
        remarks=["Nothing found."],
        classes=[ClassLine("yoga", 0.932, "top class")],
        moments=[Moment(float(second)) for second in np.linspace(0.5, 3.5, count)],
        source_frames=video(GREEN, count, size),
        blocks=[block({"gradcam": video(RED, count, size), "gradcam++": video(BLUE, count, size)})],
        table=colour_table(),
        facts=("alpha lies between 0.49 and 0.5.",),
    )


@cache
def plain_sheet() -> NDArray[np.uint8]:
    """The pixels of the sheet that most others are compared with."""
    return decoded(draw_sheet(sheet()))


def decoded(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert image.info == {}
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("changed", ["evidence", "windows", "top_labels"])
def test_the_text_that_tests_of_pipelines_write_for_a_sheet_has_its_strips(changed: str) -> None:
    plain = sheet()
    strip, values = plain.blocks[0].strip, {"evidence": {"gradcam": np.zeros(9)}, "windows": (), "top_labels": "abc"}
    other = replace(strip, **{changed: values[changed]})  # type: ignore[arg-type]
    text = sheet_as_text(replace(plain, blocks=[replace(plain.blocks[0], strip=other)]), "png")
    assert text != sheet_as_text(plain, "png") == sheet_as_text(sheet(), "png")


def boxes(picture: NDArray[np.uint8], colour: Sequence[int]) -> tuple[tuple[int, int], int]:
    """Return the size (height, width) of the area with a colour, and its number of separate columns."""
    has_colour = (picture == colour).all(axis=2)
    columns = has_colour.any(axis=0)
    return (int(has_colour.any(axis=1).sum()), int(columns.sum())), int((np.diff(columns.astype(int)) == 1).sum())


def margins_are_white(picture: NDArray[np.uint8]) -> bool:
    return bool(np.all(picture[:, -20:] == 255) and np.all(picture[:, :40] == 255))


@pytest.mark.parametrize("form", SHEET_FORMATS)
def test_the_same_sheet_gives_the_same_bytes(form: SheetFormat) -> None:
    first = draw_sheet(sheet(), form)
    assert first == draw_sheet(sheet(), form)
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[form])


@pytest.mark.parametrize(("size", "count"), [((90, 160), 8), ((160, 90), 8), ((1, 400), 2), ((340, 1), 1)])
def test_frames_keep_their_aspect_ratio(size: tuple[int, int], count: int) -> None:
    picture = decoded(draw_sheet(sheet(count, size)))
    assert picture.shape[1] == SHEET_WIDTH_PX
    (height, width), columns = boxes(picture, RED)
    assert columns == count
    assert height / (width / count) == pytest.approx(size[0] / size[1], abs=1.0 / (width / count), rel=0.05)
    assert boxes(picture, BLUE)[0] == boxes(picture, GREEN)[0] == (height, width)


def test_five_wide_frames_fill_the_sheet() -> None:
    picture = decoded(draw_sheet(sheet(5, (90, 160))))
    (_, width), columns = boxes(picture, RED)
    assert columns == 5
    assert width > 0.95 * (SHEET_WIDTH_PX - 88)


def test_source_frames_come_first_and_the_rows_in_their_order() -> None:
    picture = plain_sheet()
    tops = [int(np.flatnonzero((picture == colour).all(axis=2).any(axis=1))[0]) for colour in (GREEN, RED, BLUE)]
    assert tops == sorted(tops)


def test_each_block_has_its_rows_and_its_strip() -> None:
    one = sheet()
    two = replace(one, blocks=[block({"gradcam": video(RED)}, "yoga"), block({"gradcam": video(BLUE)}, "tai chi")])
    picture = decoded(draw_sheet(two))
    assert boxes(picture, RED) == boxes(picture, BLUE)
    area = (np.abs(picture.astype(int) - [229, 230, 232]).max(axis=2) <= 1).sum(axis=1) > 1000  # the probability
    assert (np.diff(area.astype(int)) == 1).sum() == 2
    assert picture.shape[0] > plain_sheet().shape[0]


@pytest.mark.parametrize("word", get_args(VerdictWord))
def test_each_verdict_has_its_colour(word: VerdictWord) -> None:
    plain = replace(sheet(), verdicts=[])
    pictures = [
        decoded(draw_sheet(plain)),
        decoded(draw_sheet(replace(plain, verdicts=[("cam", Verdict(word, "why"))]))),
    ]
    colour = [int(ON_WHITE[word][index : index + 2], 16) for index in (1, 3, 5)]
    without, line = (int((picture[:, 44:52] == colour).all(axis=(1, 2)).sum()) for picture in pictures)  # of the mark
    assert line - without == pictures[1].shape[0] - pictures[0].shape[0] == STYLE_OF_LINES.line_px


def test_the_probability_is_a_bar() -> None:
    for probability in (0.0, 0.25, 1.0):
        picture = decoded(draw_sheet(replace(sheet(), classes=[ClassLine("yoga", probability)])))
        (_, filled), _ = boxes(picture, (0x4A, 0x5A, 0x75))
        (_, empty), _ = boxes(picture, (0xE6, 0xE8, 0xEC))
        assert filled == pytest.approx(260 * probability, abs=1)
        assert filled + empty == pytest.approx(260, abs=2)


def test_curves_that_coincide_are_all_visible() -> None:
    """All three curves are the same line: through the gaps of the upper ones the lower ones are seen."""
    rows = {name: video(RED) for name in ("one", "two", "three")}
    picture = decoded(draw_sheet(replace(sheet(), blocks=[block(rows)])))
    last = int(np.flatnonzero((picture == RED).all(axis=2).any(axis=1))[-1])
    plot = picture[last + 50 : last + 200]
    for colour in PLOT_COLOURS[:3]:
        rgb = [int(colour[index : index + 2], 16) for index in (1, 3, 5)]
        columns = (np.abs(plot.astype(int) - rgb).max(axis=2) < 40).any(axis=0).sum()
        assert columns > 150


def test_long_texts_make_the_sheet_higher_not_wider() -> None:
    short = plain_sheet()
    long = replace(
        sheet(),
        verdicts=[("a long name " * 30, Verdict("too short to tell", "a reason " * 60))],
        remarks=["a sentence " * 60, "y" * 500],
        classes=[ClassLine("a long label " * 30, 0.5, "a note " * 60)],
        subtitle="blocks.4." * 40,
        facts=("a fact " * 60, "x" * 500),
    )
    picture = decoded(draw_sheet(long))
    assert picture.shape[0] > short.shape[0] + 200
    assert margins_are_white(picture)


def test_the_margins_stay_white_with_long_names() -> None:
    name = "gradcam++signed-and-a-name-that-goes-on-" * 8
    base = sheet()
    row = SheetRow(name, video(RED), name, "too short to tell", note="the same map " * 20)
    long_strip = TimeStrip((0.0, 600.0), np.array([1.0]), {name: np.array([0.5])})
    long = replace(
        base,
        title="a" * 400,
        classes=[ClassLine(name, 0.5)],
        moments=[Moment(second, name, name) for second in (1.0, 2.0, 3.0)],
        blocks=[SheetBlock(name, [row], long_strip), SheetBlock(name, [row], long_strip)],
        facts=(),
    )
    assert margins_are_white(decoded(draw_sheet(long)))


def test_the_margins_stay_white_with_many_methods() -> None:
    names = [f"gradcam++, catching or throwing a ball {number}" for number in range(10)]
    picture = decoded(draw_sheet(replace(sheet(), blocks=[block({name: video(RED) for name in names})])))
    assert picture.shape[0] > plain_sheet().shape[0]
    assert margins_are_white(picture)


def test_text_of_any_script_gives_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    names = "$x_1$ и ü 中文 \udcff \U0001f3ac \x00\n\tend"
    with caplog.at_level(logging.WARNING):
        for form in SHEET_FORMATS:
            draw_sheet(replace(sheet(), title=names, classes=[ClassLine(names, 0.5)], facts=(names,)), form)
    assert not caplog.records


def test_wrap() -> None:
    canvas = Canvas(600)
    text = "some words and then one_that_is_far_too_long_for_a_line_of_this_width and the rest"
    lines = canvas.wrap(text, STYLE, 200)
    assert all(canvas.width_of(line, STYLE) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert canvas.wrap("", STYLE, 200) == []


def test_elide_keeps_both_ends() -> None:
    canvas = Canvas(600)
    short = canvas.elide("2024-05-01_a_rather_long_name_of_a_video.mp4", STYLE, 200)
    assert canvas.width_of(short, STYLE) <= 200
    assert short.startswith("2024")
    assert short.endswith(".mp4")
    assert canvas.elide("short", STYLE, 200) == "short"
    assert canvas.elide("anything", STYLE, 1) == "…"


def test_lines_of_text_do_not_overlap() -> None:
    canvas = Canvas(400)
    for line in range(3):
        canvas.text(10, 10 + line * STYLE.line_px, "Égypte, gjpqy", STYLE)
    has_text = (decoded(canvas.to_png(120)) < 200).any(axis=(1, 2))
    starts = np.flatnonzero(np.diff(has_text.astype(int)) == 1)
    assert len(starts) == 3
    assert {int(following - start) for start, following in pairwise(starts)} == {STYLE.line_px}


def test_the_top_class_of_each_window_is_below_the_curves() -> None:
    """Each class has its colour, in the order of time."""
    plain = sheet()
    (one,) = plain.blocks
    labelled = replace(one, strip=replace(one.strip, top_labels=("yoga", "tai chi", "yoga")), has_windows=True)
    picture = decoded(draw_sheet(replace(plain, blocks=[labelled])))
    first, second = (tuple(round(255 * part) for part in to_rgb(colour)) for colour in LABEL_COLOURS[:2])
    assert boxes(picture, first)[1] >= 2
    columns = [np.flatnonzero((picture == colour).all(axis=2).any(axis=0)) for colour in (first, second)]
    assert columns[0][0] < columns[1][0] < columns[1][-1] < columns[0][-1]
    assert margins_are_white(picture)
    assert not (decoded(draw_sheet(plain)) == second).all(axis=2).any()
