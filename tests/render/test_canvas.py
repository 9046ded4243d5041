"""The canvas: positions and order of strokes, text, and its imports."""

import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

from vidcam.render.canvas import Canvas, TextStyle


def test_a_box_fills_exactly_its_pixels() -> None:
    canvas = Canvas(20)
    canvas.box(3, 2, 11, 7, "#0072b2")
    expected = np.full((10, 20, 3), 255, dtype=np.uint8)
    expected[2:7, 3:11] = (0x00, 0x72, 0xB2)
    np.testing.assert_array_equal(canvas.to_pixels(10), expected)


def test_opacity_and_order_of_strokes() -> None:
    canvas = Canvas(8)
    canvas.area([0, 8, 8, 0], [0, 0, 8, 8], "black", opacity=0.5)
    assert np.abs(canvas.to_pixels(8).astype(int) - 127.5).max() <= 1
    canvas.line([-1, 9], [4, 4], "black", width_px=8)
    canvas.box(0, 0, 8, 8, "red")
    np.testing.assert_array_equal(np.unique(canvas.to_pixels(8).reshape(-1, 3), axis=0), [[255, 0, 0]])


@pytest.mark.parametrize("align", ["left", "center", "right"])
def test_alignment_of_text(align: Literal["left", "center", "right"]) -> None:
    style, canvas = TextStyle(12), Canvas(200)
    canvas.text(100, 4, "evidence", style, align=align)
    columns = np.flatnonzero((canvas.to_pixels(30) < 128).any(axis=(0, 2)))
    start = 100 - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * canvas.width_of("evidence", style)
    assert abs(columns[0] - start) <= 2
    assert abs(columns[-1] - start - canvas.width_of("evidence", style)) <= 2


def test_a_dashed_line_has_gaps() -> None:
    canvas = Canvas(60)
    canvas.line([0, 60], [5, 5], "black", width_px=2, dashes_px=(6, 4))
    black = canvas.to_pixels(10)[5, :, 0] == 0
    assert black.tolist() == [column % 10 < 6 for column in range(60)]


def test_a_picture_is_scaled_to_its_size() -> None:
    canvas, picture = Canvas(40), np.zeros((4, 8, 3), np.uint8)
    canvas.picture(10, 5, picture, size=(8, 16))
    black = (canvas.to_pixels(30) == 0).all(axis=2)
    assert black[5:13, 10:26].all()
    assert black.sum() == 8 * 16


def test_dollar_signs_are_not_mathtext() -> None:
    ink = []
    for text in ("a $x$ b", "a x b"):
        canvas = Canvas(100)
        canvas.text(2, 2, text, TextStyle(12))
        ink.append((canvas.to_pixels(24) < 128).sum())
    assert ink[0] > ink[1]


def test_drawing_a_video_does_not_import_figure() -> None:
    code = "import sys, vidcam.pipelines.render.renderer; print({'matplotlib.figure'} & {*sys.modules})"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "set()"
