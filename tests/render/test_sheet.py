"""The contact sheet: its bytes, its text and the positions of its pictures."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from vidcam.errors import ShapeError
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import colour_table
from vidcam.render.sheet import SHEET_WIDTH_PX, Sheet, draw_sheet
from vidcam.render.strip import TimeStrip
from vidcam.render.strip_drawing import LABEL_COLOURS

STYLE = TextStyle(20)
RED, BLUE = (250, 10, 20), (20, 30, 240)


def video(colour: tuple[int, int, int], count: int = 3, size: tuple[int, int] = (90, 160)) -> list[NDArray[np.uint8]]:
    return [np.full((*size, 3), colour, dtype=np.uint8) for _ in range(count)]


def sheet(count: int = 3, size: tuple[int, int] = (90, 160)) -> Sheet:
    seconds = np.linspace(0.0, 4.0, 9)
    evidence = {"gradcam": seconds / 4, "gradcam++": 1 - seconds / 4}
    return Sheet(
        title="video.mp4",
        target="yoga – 93.2 %",
        model="i3d",
        layer="Mixed_5c",
        frame_seconds=np.linspace(0.5, 3.5, count),
        rows={"gradcam": video(RED, count, size), "gradcam++": video(BLUE, count, size)},
        strip=TimeStrip((0.0, 4.0), seconds, evidence, [(0.0, 2.0, 0.5), (1.0, 3.0, 0.9), (3.5, 4.0, 0.1)]),
        table=colour_table(),
        audit=("alpha lies between 0.49 and 0.5.",),
    )


def decoded(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert image.info == {}
        return np.asarray(image.convert("RGB"))


def boxes(picture: NDArray[np.uint8], colour: Sequence[int]) -> tuple[tuple[int, int], int]:
    """Return the size (height, width) of the area with a colour, and its number of separate columns."""
    has_colour = (picture == colour).all(axis=2)
    columns = has_colour.any(axis=0)
    return (int(has_colour.any(axis=1).sum()), int(columns.sum())), int((np.diff(columns.astype(int)) == 1).sum())


def test_the_same_sheet_gives_the_same_bytes() -> None:
    assert draw_sheet(sheet()) == draw_sheet(sheet())


@pytest.mark.parametrize(("size", "count"), [((90, 160), 8), ((160, 90), 8), ((1, 400), 2), ((400, 1), 1)])
def test_frames_keep_their_aspect_ratio(size: tuple[int, int], count: int) -> None:
    picture = decoded(draw_sheet(sheet(count, size)))
    assert picture.shape[1] == SHEET_WIDTH_PX
    (height, width), columns = boxes(picture, RED)
    assert columns == count
    assert height / (width / count) == pytest.approx(size[0] / size[1], abs=1.0 / (width / count), rel=0.05)
    assert boxes(picture, BLUE)[0] == (height, width)


def test_a_row_of_source_frames_comes_first() -> None:
    green = (10, 200, 30)
    picture = decoded(draw_sheet(replace(sheet(), source_frames=video(green))))
    tops = [int(np.flatnonzero((picture == colour).all(axis=2).any(axis=1))[0]) for colour in (green, RED, BLUE)]
    assert tops == sorted(tops)
    assert picture.shape[0] > decoded(draw_sheet(sheet())).shape[0]


def test_long_texts_make_the_sheet_higher_not_wider() -> None:
    short = decoded(draw_sheet(sheet()))
    long = replace(sheet(), target="a long label " * 30, layer="blocks.4." * 40, audit=("a sentence " * 60, "x" * 500))
    picture = decoded(draw_sheet(long))
    assert picture.shape[0] > short.shape[0] + 200
    assert np.all(picture[:, -20:] == 255)
    assert np.all(picture[:, :20] == 255)


def test_the_margins_stay_white_with_long_names() -> None:
    name = "gradcam++signed-and-a-name-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on"
    long = replace(
        sheet(),
        title="a" * 400,
        rows={name: video(RED)},
        strip=TimeStrip((0.0, 600.0), np.array([1.0]), {name: np.array([0.5])}),
        audit=(),
    )
    picture = decoded(draw_sheet(long))
    assert np.all(picture[:, -20:] == 255)
    assert np.all(picture[:, :20] == 255)


def test_names_of_very_low_rows_do_not_overlap() -> None:
    names = [f"a name with more words than fit into one line, number {number}" for number in range(3)]
    base = sheet()
    low = replace(
        base,
        rows={name: video(RED, 3, (1, 400)) for name in names},
        strip=replace(base.strip, evidence=dict.fromkeys(names, base.strip.evidence["gradcam"])),
    )
    red = (decoded(draw_sheet(low)) == RED).all(axis=(2)).any(axis=1)
    assert np.all(np.diff(np.flatnonzero(np.diff(red.astype(int)) == 1)) >= TextStyle(20).line_px)


def test_the_margins_stay_white_with_many_methods() -> None:
    names = [f"gradcam++, catching or throwing a ball {number}" for number in range(10)]
    base = sheet()
    many = replace(
        base,
        rows={name: video(RED) for name in names},
        strip=replace(base.strip, evidence=dict.fromkeys(names, base.strip.evidence["gradcam"])),
    )
    picture = decoded(draw_sheet(many))
    assert picture.shape[0] > decoded(draw_sheet(base)).shape[0]
    assert np.all(picture[:, -20:] == 255)
    assert np.all(picture[:, :20] == 255)


def test_text_of_any_script_gives_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    names = "$x_1$ и ü 中文 \udcff \U0001f3ac \x00\n\tend"
    with caplog.at_level(logging.WARNING):
        decoded(draw_sheet(replace(sheet(), title=names, target=names, audit=(names,))))
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {}}, "a sheet needs at least one frame and one method, got 3 and 0"),
        ({"frame_seconds": np.array([])}, "a sheet needs at least one frame and one method, got 0 and 2"),
        (
            {"rows": {"hirescam": video(RED)}},
            r"must show the same methods, got \['hirescam'\] and \['gradcam', 'gradcam",
        ),
        ({"source_frames": video(RED, 2)}, "'source_frames' must be 3 uint8 frames of the same size, got 2"),
        (
            {"rows": {"gradcam": video(RED), "gradcam++": [*video(RED, 2), *video(RED, 1, (4, 4))]}},
            r"'gradcam\+\+' must be 3 uint8 frames of the same size",
        ),
    ],
)
def test_invalid_sheets(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        replace(sheet(), **changes)  # type: ignore[arg-type]


def test_the_top_class_of_each_window_is_below_the_curves() -> None:
    """Each class has its colour, in the order of time."""
    plain = sheet()
    labelled = replace(plain, strip=replace(plain.strip, top_labels=("yoga", "tai chi", "yoga")))
    picture = decoded(draw_sheet(labelled))
    first, second = (tuple(round(255 * part) for part in to_rgb(colour)) for colour in LABEL_COLOURS[:2])
    assert boxes(picture, first)[1] >= 2
    columns = [np.flatnonzero((picture == colour).all(axis=2).any(axis=0)) for colour in (first, second)]
    assert columns[0][0] < columns[1][0] < columns[1][-1] < columns[0][-1]
    assert not (decoded(draw_sheet(plain)) == second).all(axis=2).any()
