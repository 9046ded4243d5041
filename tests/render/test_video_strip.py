"""The time strip below a video: where the playhead stands, what leads when, and at which heights."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.captions import unit_of
from vidcam.render.strip import TimeStrip
from vidcam.render.strip_drawing import LABEL_COLOURS
from vidcam.render.video_strip import BACKGROUND, BRIGHT_COLOURS, VideoStrip, strip_height

SECONDS = np.linspace(0.0, 10.0, 50)
WINDOWS = [(float(start), float(start + 2), 0.5) for start in range(0, 10, 2)]


def strip(**changes: Any) -> TimeStrip:
    given: dict[str, Any] = {
        "span_seconds": (0.0, 10.0),
        "seconds": SECONDS,
        "evidence": {"gradcam": np.linspace(0.0, 1.0, 50)},
        "windows": WINDOWS,
        "leaders": ["running", "running", "jumping", "jumping", "running"],
    }
    return TimeStrip(**{**given, **changes})


def rgb(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def columns_of(picture: np.ndarray, colour: str) -> np.ndarray:
    return np.flatnonzero((np.abs(picture.astype(int) - rgb(colour)).max(axis=2) <= 2).any(axis=0))


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (64, 80)])
def test_the_playhead_moves_evenly_from_end_to_end(size: tuple[int, int]) -> None:
    drawn = VideoStrip(strip(), size)
    places = []
    for second in (0.0, 5.0, 10.0):
        picture = drawn.at(second)
        assert picture.shape == (strip_height(size), size[1], 3)
        white = (picture == 255).all(axis=2).sum(axis=0)
        places.append(float(np.flatnonzero(white == white.max()).mean()))
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=1.0)
    assert places[2] - places[0] > 0.6 * size[1]


def test_the_playhead_stands_at_its_second() -> None:
    size, unit = (1080, 1920), unit_of((1080, 1920))
    left, right = round(1.2 * unit), 1920 - round(1.2 * unit)
    drawn = VideoStrip(strip(windows=(), leaders=()), size)
    for second in (0.0, 2.5, 10.0):
        white = (drawn.at(second) == 255).all(axis=2).sum(axis=0)
        columns = np.flatnonzero(white > 0.9 * white.max())
        assert columns.mean() == pytest.approx(round(left + second / 10 * (right - left)))
        assert columns.size == 2 * (unit // 14) + 1


def test_neighbouring_windows_stand_in_two_rows() -> None:
    flat = strip(evidence={"a": np.zeros(50)}, leaders=())
    below = slice(4 * unit_of((1080, 1920)), 5 * unit_of((1080, 1920)))  # the plot, and above the time
    first, second, third = (VideoStrip(flat, (1080, 1920)).at(-1.0)[below, 192 * middle] for middle in (1, 3, 5))
    np.testing.assert_array_equal(first, third)
    assert (first != second).any()


def test_ticks_say_the_video_s_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    write = Canvas.text

    def text(canvas: Canvas, x: float, y: float, words: str, style: TextStyle, **more: Any) -> None:
        said.append(words)
        write(canvas, x, y, words, style, **more)

    monkeypatch.setattr(Canvas, "text", text)
    VideoStrip(strip(span_seconds=(6.0, 8.0), seconds=6 + SECONDS / 5, windows=(), leaders=()), (480, 1000))
    assert [words for words in said if words.endswith(" s")] == ["6 s", "6.5 s", "7 s", "7.5 s", "8 s"]


def test_frames_do_not_change_each_other() -> None:
    drawn = VideoStrip(strip(), (240, 320))
    before = drawn.at(3.0)
    drawn.at(7.0)
    np.testing.assert_array_equal(drawn.at(3.0), before)


def test_a_label_has_one_colour_wherever_it_leads() -> None:
    picture = VideoStrip(strip(), (480, 1000)).at(-1.0)
    first, second = (columns_of(picture, colour) for colour in LABEL_COLOURS[:2])
    middle = second.mean()
    assert 550 < middle < 650  # 4 s to 8 s of 10 s
    assert first.min() < second.min() < second.max() < first.max()


def test_each_method_has_its_line() -> None:
    picture = VideoStrip(strip(evidence={"a": SECONDS / 10, "b": 1 - SECONDS / 10}), (480, 1000)).at(-1.0)
    for colour in BRIGHT_COLOURS[:2]:
        assert np.ptp(columns_of(picture, colour)) > 800


def test_heights_are_shares_of_the_plot() -> None:
    """The area of the probability, and the line of the evidence, from 0 at the bottom to 1 at the top."""
    size, plot = (1080, 1920), 2.6 * unit_of((1080, 1920))
    windows = [(0.0, 5.0, 1.0), (5.0, 10.0, 0.5)]
    none = strip(windows=windows, leaders=(), evidence={"a": np.zeros(50)})
    picture = VideoStrip(none, size).at(-1.0).astype(float)
    ground, area = np.array(rgb(BACKGROUND), float), np.array(rgb("#8a8f98"), float)
    is_area = np.abs(picture - (0.55 * ground + 0.45 * area)).max(axis=2) <= 3
    for second, share in ((2.5, 1.0), (7.5, 0.5)):
        assert is_area[:, round(192 * second)].sum() == pytest.approx(share * plot, abs=4)
    rows = []
    for value in (0.0, 0.25, 1.0):
        even = strip(windows=(), leaders=(), evidence={"a": np.full(50, value)})
        line = np.abs(VideoStrip(even, size).at(-1.0)[:, 960].astype(int) - rgb(BRIGHT_COLOURS[0])).max(axis=1) <= 20
        rows.append(float(np.flatnonzero(line).mean()))
    assert rows[0] - rows[1] == pytest.approx(0.25 * plot, abs=2)
    assert rows[0] - rows[2] == pytest.approx(plot, abs=2)


@pytest.mark.parametrize("count", [1, 5000])
def test_any_number_of_windows(count: int) -> None:
    edges = np.linspace(0.0, 7200.0, count + 1)
    windows = [(float(a), float(b), 0.5) for a, b in pairwise(edges)]
    long = strip(span_seconds=(0.0, 7200.0), windows=windows, leaders=["running"] * count, seconds=SECONDS * 720)
    assert len(columns_of(VideoStrip(long, (480, 1000)).at(0.0), LABEL_COLOURS[0])) > 800


def test_without_windows_there_is_evidence_alone() -> None:
    assert VideoStrip(strip(windows=(), leaders=()), (240, 320)).at(0.0).any()
