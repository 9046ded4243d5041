from __future__ import annotations

import numpy as np
import pytest

from vidcam.metrics.energy import energy


def test_by_hand() -> None:
    heat = np.array([[0.5, 1.0, 0.25, 0.25], [0.0, 0.0, 0.0, 0.0]]).reshape(2, 2, 1, 2)
    inside = np.array([[False, True, True, False], [True, True, False, False]]).reshape(heat.shape)
    np.testing.assert_allclose(energy(heat, inside), [1.25 / 2.0, 0.0])


def test_of_a_flat_map_it_is_the_volume_and_scale_is_of_no_account() -> None:
    generator = np.random.default_rng(2)
    inside = generator.random((3, 2, 5, 5)) < 0.3
    flat = energy(np.full(inside.shape, 0.7, np.float32), inside)
    np.testing.assert_allclose(flat, inside.mean(axis=(1, 2, 3)), rtol=1e-6)
    heat = generator.random(inside.shape)
    np.testing.assert_allclose(energy(3.0 * heat, inside), energy(heat, inside))
    total = energy(heat, inside) + energy(heat, ~inside)
    np.testing.assert_allclose(total, 1.0)


def test_equals_a_plain_loop() -> None:
    generator = np.random.default_rng(3)
    heat, inside = generator.random((10, 2, 3, 3)), generator.random((10, 2, 3, 3)) < 0.5
    inside[:, 0, 0, 0] = True
    for clip, region, got in zip(heat, inside, energy(heat, inside), strict=True):
        within = sum(value for value, flag in zip(clip.flat, region.flat, strict=True) if flag)
        assert got == pytest.approx(within / sum(clip.flat))
