"""The time strip below a video: playhead, top labels, ticks and curves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.strip import TimeStrip
from vidcam.render.strip_drawing import LABEL_COLOURS
from vidcam.render.video_strip import BACKGROUND, BRIGHT_COLOURS, VideoStrip, strip_height, unit_of

SECONDS = np.linspace(0.0, 10.0, 50)
WINDOWS = [(float(start), float(start + 2), 0.5) for start in range(0, 10, 2)]


def strip(**changes: Any) -> TimeStrip:
    defaults: dict[str, Any] = {
        "span_seconds": (0.0, 10.0),
        "seconds": SECONDS,
        "evidence": {"gradcam": np.linspace(0.0, 1.0, 50)},
        "windows": WINDOWS,
        "top_labels": ["running", "running", "jumping", "jumping", "running"],
    }
    return TimeStrip(**{**defaults, **changes})


def rgb(colour: str) -> list[int]:
    return [int(colour[index : index + 2], 16) for index in (1, 3, 5)]


def columns_of(picture: np.ndarray, colour: str) -> np.ndarray:
    return np.flatnonzero((np.abs(picture.astype(int) - rgb(colour)).max(axis=2) <= 2).any(axis=0))


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (64, 80)])
def test_the_playhead_moves_evenly_from_end_to_end(size: tuple[int, int]) -> None:
    drawn = VideoStrip(strip(), size)
    positions = []
    for second in (0.0, 5.0, 10.0):
        picture = drawn.at(second)
        assert picture.shape == (strip_height(size), size[1], 3)
        white = (picture == 255).all(axis=2).sum(axis=0)
        positions.append(float(np.flatnonzero(white == white.max()).mean()))
    assert positions[1] - positions[0] == pytest.approx(positions[2] - positions[1], abs=1.0)
    assert positions[2] - positions[0] > 0.6 * size[1]


def test_position_and_width_of_the_playhead() -> None:
    size, unit = (1080, 1920), unit_of((1080, 1920))
    left, right = round(1.2 * unit), 1920 - round(1.2 * unit)
    drawn = VideoStrip(strip(windows=(), top_labels=()), size)
    for second in (0.0, 2.5, 10.0):
        white = (drawn.at(second) == 255).all(axis=2).sum(axis=0)
        columns = np.flatnonzero(white > 0.9 * white.max())
        assert columns.mean() == pytest.approx(round(left + second / 10 * (right - left)))
        assert columns.size == 2 * (unit // 14) + 1


def test_neighbouring_windows_alternate_between_two_rows() -> None:
    flat = strip(evidence={"a": np.zeros(50)}, top_labels=())
    rows = slice(4 * unit_of((1080, 1920)), 5 * unit_of((1080, 1920)))  # between the plot and the tick labels
    first, second, third = (VideoStrip(flat, (1080, 1920)).at(-1.0)[rows, 192 * centre] for centre in (1, 3, 5))
    np.testing.assert_array_equal(first, third)
    assert (first != second).any()


def test_ticks_show_the_times_of_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    original = Canvas.text

    def text(canvas: Canvas, x: float, y: float, line: str, style: TextStyle, **options: Any) -> None:
        texts.append(line)
        original(canvas, x, y, line, style, **options)

    monkeypatch.setattr(Canvas, "text", text)
    VideoStrip(strip(span_seconds=(6.0, 8.0), seconds=6 + SECONDS / 5, windows=(), top_labels=()), (480, 1000))
    assert [line for line in texts if line.endswith(" s")] == ["6 s", "6.5 s", "7 s", "7.5 s", "8 s"]


def test_frames_are_independent() -> None:
    drawn = VideoStrip(strip(), (240, 320))
    before = drawn.at(3.0)
    drawn.at(7.0)
    np.testing.assert_array_equal(drawn.at(3.0), before)


def test_a_label_always_has_the_same_colour() -> None:
    picture = VideoStrip(strip(), (480, 1000)).at(-1.0)
    first, second = (columns_of(picture, colour) for colour in LABEL_COLOURS[:2])
    assert 550 < second.mean() < 650  # 4 s to 8 s of 10 s
    assert first.min() < second.min() < second.max() < first.max()


def test_each_method_has_a_line() -> None:
    picture = VideoStrip(strip(evidence={"a": SECONDS / 10, "b": 1 - SECONDS / 10}), (480, 1000)).at(-1.0)
    for colour in BRIGHT_COLOURS[:2]:
        assert np.ptp(columns_of(picture, colour)) > 800


def test_heights_of_curves_and_areas() -> None:
    """0 is at the bottom of the plot and 1 at its top."""
    size, plot = (1080, 1920), 2.6 * unit_of((1080, 1920))
    windows = [(0.0, 5.0, 1.0), (5.0, 10.0, 0.5)]
    none = strip(windows=windows, top_labels=(), evidence={"a": np.zeros(50)})
    picture = VideoStrip(none, size).at(-1.0).astype(float)
    ground, area = np.array(rgb(BACKGROUND), float), np.array(rgb("#8a8f98"), float)
    is_area = np.abs(picture - (0.55 * ground + 0.45 * area)).max(axis=2) <= 3
    for second, share in ((2.5, 1.0), (7.5, 0.5)):
        assert is_area[:, round(192 * second)].sum() == pytest.approx(share * plot, abs=4)
    rows = []
    for value in (0.0, 0.25, 1.0):
        even = strip(windows=(), top_labels=(), evidence={"a": np.full(50, value)})
        line = np.abs(VideoStrip(even, size).at(-1.0)[:, 960].astype(int) - rgb(BRIGHT_COLOURS[0])).max(axis=1) <= 20
        rows.append(float(np.flatnonzero(line).mean()))
    assert rows[0] - rows[1] == pytest.approx(0.25 * plot, abs=2)
    assert rows[0] - rows[2] == pytest.approx(plot, abs=2)


@pytest.mark.parametrize("count", [1, 5000])
def test_any_number_of_windows(count: int) -> None:
    edges = np.linspace(0.0, 7200.0, count + 1)
    windows = [(float(a), float(b), 0.5) for a, b in pairwise(edges)]
    long = strip(span_seconds=(0.0, 7200.0), windows=windows, top_labels=["running"] * count, seconds=SECONDS * 720)
    assert len(columns_of(VideoStrip(long, (480, 1000)).at(0.0), LABEL_COLOURS[0])) > 800


def test_a_strip_without_windows() -> None:
    assert VideoStrip(strip(windows=(), top_labels=()), (240, 320)).at(0.0).any()
