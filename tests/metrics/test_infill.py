"""The infill: linear imputation against a direct solver, and what must hold for any mask."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.errors import ShapeError
from vidcam.metrics.infill import infill

SIZE = (4, 6, 5)


def ramp(size: tuple[int, int, int] = SIZE) -> Tensor:
    """Two channels that are linear in t, y and x."""
    t, y, x = (torch.arange(length, dtype=torch.float64) for length in size)
    first = 10 * t[:, None, None] + 3 * y[:, None] + x
    return torch.stack([first, 200 - 2 * first])


def solved(channel: NDArray[np.float64], visible: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ_q (u - u_q)·(1 - v) + v·(u - x) = 0 for every pixel, as one dense system."""
    size = channel.shape
    cells = list(product(*map(range, size)))
    index = {cell: number for number, cell in enumerate(cells)}
    matrix, right = np.zeros((len(cells), len(cells))), np.zeros(len(cells))
    for cell, row in index.items():
        v = visible[cell]
        matrix[row, row] += v
        right[row] = v * channel[cell]
        for axis, step in product(range(3), (-1, 1)):
            other = tuple(c + step * (a == axis) for a, c in enumerate(cell))
            if other in index:
                matrix[row, row] += 1 - v
                matrix[row, index[other]] -= 1 - v
    return np.asarray(np.linalg.solve(matrix, right).reshape(size))


@pytest.mark.parametrize("is_soft", [False, True])
def test_the_fill_solves_the_linear_system(is_soft: bool) -> None:
    generator = np.random.default_rng(3)
    visible = generator.random(SIZE)
    visible = visible if is_soft else (visible > 0.6).astype(float)
    pixels = 255 * generator.random((2, *SIZE))
    filled = infill(torch.from_numpy(pixels), torch.from_numpy(visible), noise=0).numpy()
    expected = np.stack([solved(channel, visible) for channel in pixels])
    np.testing.assert_allclose(filled, expected, atol=0.5)


def test_a_hidden_frame_is_the_mean_of_its_neighbours() -> None:
    """A hole in what is linear in time: the frame between is in the middle, edges of the mask do not show."""
    pixels, visible = ramp(), torch.ones(SIZE)
    visible[1, 1:-1, 1:-1] = 0
    torch.testing.assert_close(infill(pixels, visible, noise=0), pixels, rtol=0, atol=0.05)


def test_what_is_visible_stays() -> None:
    pixels, visible = ramp(), torch.ones(SIZE)
    assert torch.equal(infill(pixels, visible), pixels)
    visible[0] = 0
    filled = infill(pixels, visible)
    assert torch.equal(filled[:, 1:], pixels[:, 1:])
    assert not torch.equal(filled[:, 0], pixels[:, 0])


def test_the_noise_is_that_of_road_and_the_same_for_all_masks() -> None:
    pixels = torch.full((3, 8, 32, 32), 100.0)
    visible = torch.zeros(8, 32, 32)
    visible[:, 0, 0] = 1
    filled = infill(pixels, visible)
    assert float((filled - pixels)[:, visible == 0].std()) == pytest.approx(2.55, rel=0.03)
    other = visible.clone()
    other[:, :9] = 1
    torch.testing.assert_close(infill(pixels, other)[:, :, 9:], filled[:, :, 9:])


def test_nothing_visible_is_the_mean_colour() -> None:
    pixels = ramp()
    filled = infill(pixels, torch.zeros(SIZE), noise=0)
    torch.testing.assert_close(filled, pixels.mean(dim=(1, 2, 3), keepdim=True).expand_as(pixels))


def test_sizes_must_match() -> None:
    with pytest.raises(ShapeError, match="visible must be"):
        infill(ramp(), torch.zeros(4, 6, 6))
