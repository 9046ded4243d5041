from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells


def test_shuffled_cells_keep_the_values_of_the_map() -> None:
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    shuffled = shuffled_cells(volume, np.random.default_rng(0))
    assert shuffled.shape == volume.shape
    assert shuffled.dtype == np.float32
    assert sorted(shuffled.flat) == list(range(24))
    assert (shuffled != volume).mean() > 0.5
    np.testing.assert_array_equal(shuffled, shuffled_cells(volume, np.random.default_rng(0)))
    np.testing.assert_array_equal(volume.ravel(), np.arange(24))


def test_shuffling_moves_every_cell_to_every_position() -> None:
    generator = np.random.default_rng(1)
    volume = np.eye(1, 8).reshape(2, 2, 2)
    counts = sum(shuffled_cells(volume, generator) for _ in range(800))
    np.testing.assert_allclose(counts, 100, atol=35)


def test_centre_heat_of_a_small_clip() -> None:
    heat = centre_heat((2, 3, 5))
    assert heat.shape == (2, 3, 5)
    assert heat[0, 1, 2] == 1.0  # the middle
    np.testing.assert_allclose(heat[:, 0, 0], np.exp(-4.0))  # a corner: x² + y² = 2
    np.testing.assert_allclose(heat[:, 1, 1], np.exp(-2.0 * 0.5**2))
    np.testing.assert_array_equal(heat, heat[::-1, ::-1, ::-1])


def test_the_frame_difference_by_hand() -> None:
    """One pixel, three frames: its steps are 10 + 0 + 5 and 30 + 1 + 5; the second row of pixels does not change."""
    pixels = np.zeros((3, 2, 1, 3), np.uint8)
    pixels[:, 0, 0] = [[200, 7, 5], [210, 7, 0], [240, 8, 5]]
    heat = frame_difference(pixels)
    np.testing.assert_array_equal(heat[:, 0, 0], [15, (15 + 36) / 2, 36])
    np.testing.assert_array_equal(heat[:, 1, 0], 0)
    np.testing.assert_array_equal(frame_difference(pixels[::-1]), heat[::-1])  # 0 - 255 does not wrap around


def test_a_single_frame_has_no_difference() -> None:
    with pytest.raises(ShapeError, match=r"two frames or more, got pixels.shape = \(1, 4, 4, 3\)"):
        frame_difference(np.zeros((1, 4, 4, 3)))
