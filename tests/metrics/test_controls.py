from __future__ import annotations

import numpy as np

from vidcam.metrics.controls import centre_heat, shuffled_cells


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
