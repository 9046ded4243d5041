"""Translucent boxes, and the time in captions."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.render.box import box_of, clock_box, clock_text, clock_width


def test_a_box_blends_by_hand_and_only_under_itself() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 255  # text: opaque
    pixels[1, 2] = (0, 0, 200)  # a soft edge: alpha 200
    frame = np.full((5, 6, 3), 100, np.uint8)
    box_of(pixels).over(frame, 1, 2)
    assert frame[1, 2].tolist() == [255, 255, 255]
    assert frame[2, 3].tolist() == [35, 35, 35]  # black with alpha 165: 100 * 90 / 255
    assert frame[2, 4].tolist() == [22, 22, 222]  # 100 * 55 / 255, plus 200 * 255 / 255
    frame[1:3, 2:5] = 100
    assert (frame == 100).all()


@pytest.mark.parametrize(
    ("second", "end", "text"),
    [
        (0.0, 10.0, "0.0 s"),
        (0.3, 10.0, "0.3 s"),
        (1.99, 10.0, "1.9 s"),
        (119.5, 119.9, "119.5 s"),
        (5.25, 120.0, "0:05.2"),
        (3725.0, 4000.0, "62:05.0"),
    ],
)
def test_times(second: float, end: float, text: str) -> None:
    assert clock_text(second, end) == text


def test_times_are_aligned_to_the_right_and_keep_their_place() -> None:
    width = clock_width(12, 12.0)
    first, second = (clock_box(text, 12, width) for text in ("1.0 s", "11.0 s"))
    assert first.size == second.size
    half = width // 2
    np.testing.assert_array_equal(first.premultiplied[:, half:], second.premultiplied[:, half:])
    assert not np.array_equal(first.premultiplied, second.premultiplied)


def test_a_part_of_a_box_is_replaced_by_another_box() -> None:
    box, frame = box_of(np.zeros((4, 6, 3), np.uint8)), np.full((4, 6, 3), 100, np.uint8)
    box.put(box_of(np.full((2, 3, 3), 255, np.uint8)), 1, 2)
    box.over(frame, 0, 0)
    expected = np.full((4, 6), 35)  # black with alpha 165
    expected[1:3, 2:5] = 255
    np.testing.assert_array_equal(frame, np.repeat(expected[:, :, None], 3, axis=2))
