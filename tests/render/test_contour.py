"""Contour lines: position, colour and width. Heat maps without the frame."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.render.colormap import colour_table
from vidcam.render.contour import OUTSIDE_GREY, contours, heat_picture

TABLE = colour_table()
VIEW = (slice(2, 18), slice(4, 24))
FRAME = np.full((20, 30, 3), 90, np.uint8)


def steps() -> np.ndarray:
    """Make heat of four bands from left to right: 0, 0.3, 0.6 and 1."""
    return np.repeat(np.array([0.0, 0.3, 0.6, 1.0], np.float32), 5)[None].repeat(16, axis=0)


def test_a_line_is_drawn_at_each_level() -> None:
    drawn = contours(FRAME, steps(), VIEW, TABLE)
    row = drawn[10]
    for column, level in ((9, 0.25), (14, 0.5), (19, 0.75)):
        np.testing.assert_array_equal(row[column], TABLE[round(level * 255)])
    np.testing.assert_array_equal(row[10], row[9])
    assert row[7].tolist() == row[8].tolist() == [255, 255, 255]  # white outside the dark line of the lowest level
    assert row[18].tolist() == [0, 0, 0]  # black outside the bright line of the highest level
    for column in (4, 6, 11, 16, 23):
        assert row[column].tolist() == [90, 90, 90]
    assert (drawn[:2] == 90).all() and (drawn[:, :4] == 90).all()  # noqa: PT018
    assert (FRAME == 90).all()


def test_lines_are_wider_on_larger_frames() -> None:
    frame, heat = np.full((720, 60, 3), 90, np.uint8), np.zeros((720, 60), np.float32)
    heat[:, 30:] = 1.0
    drawn = contours(frame, heat, (slice(0, 720), slice(0, 60)), TABLE)
    assert np.flatnonzero((drawn[300] != 90).any(axis=1)).tolist() == list(range(27, 33))


def test_heat_picture() -> None:
    drawn = heat_picture(steps(), VIEW, (20, 30), TABLE)
    assert drawn[0, 0].tolist() == [OUTSIDE_GREY] * 3
    for column, level in ((5, 0.0), (10, 0.3), (15, 0.6), (22, 1.0)):
        np.testing.assert_array_equal(drawn[10, column], TABLE[int(level * 255 + 0.5)])


def test_heat_outside_its_range() -> None:
    heat = steps() * 2
    with pytest.raises(ShapeError, match="heat"):
        heat_picture(heat, VIEW, (20, 30), TABLE)
    with pytest.raises(ShapeError, match="heat"):
        contours(FRAME, heat, VIEW, TABLE)
