"""Maps between the centres of their cells: smooth, or the cells themselves."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.maps import Floats, interpolation_matrix, resample_nearest, resample_plane, resample_smooth

FINE = np.arange(0.005, 7.0, 0.01)


def test_smooth_values_by_hand() -> None:
    """Between 0 and 1 it is t² (3 - 2t). Between two equal extrema it stays, where a spline would overshoot."""
    plane = np.array([[0.0, 1.0, 1.0, 0.0]])
    row = resample_smooth(plane, np.array([0.5]), np.arange(0.0, 4.01, 0.5))[0]
    assert row.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]
    alone = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])
    row = resample_smooth(alone, np.array([0.5]), np.array([1.5, 2.0, 2.25, 2.5]))[0]
    assert row.tolist() == [0.0, 0.5, 0.84375, 1.0]


@pytest.mark.parametrize("shape", [(7, 7), (4, 9), (1, 5), (1, 1), (2, 2)])
def test_smooth_values_at_the_centres_are_exact_and_none_is_outside_its_surroundings(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(3).random(shape).astype(np.float32)
    y, x = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    np.testing.assert_allclose(resample_smooth(plane, y, x), plane, atol=1e-6)
    fine = resample_smooth(plane, np.linspace(0, shape[0], 90), np.linspace(0, shape[1], 90))
    assert plane.min() <= fine.min() <= fine.max() <= plane.max()
    assert np.abs(np.diff(fine, axis=0)).max() < 0.2  # no jumps
    hottest = np.unravel_index(fine.argmax(), fine.shape)
    assert plane[tuple(index * cells // 90 for index, cells in zip(hottest, shape, strict=True))] == plane.max()
    matrices = (interpolation_matrix(np.linspace(0, cells, 90), cells) for cells in shape)
    assert np.abs(fine - resample_plane(plane, *matrices)).max() < 0.17


def test_smooth_reproduces_a_slope_between_the_inner_centres() -> None:
    plane = np.add.outer(np.arange(7.0), 2 * np.arange(7.0))
    inner = np.linspace(1.5, 5.5, 60)
    np.testing.assert_allclose(
        resample_smooth(plane, inner, inner), np.add.outer(inner - 0.5, 2 * (inner - 0.5)), atol=1e-9
    )


@pytest.mark.parametrize("level", [0.25, 0.5, 0.75])
def test_the_smooth_line_around_one_cell_is_nearly_a_circle(level: float) -> None:
    """Radii of the level line of one hot cell; at 0.5 and 0.75 the linear map gives a diamond."""
    plane = np.zeros((7, 7))
    plane[3, 3] = 1.0
    smooth = resample_smooth(plane, FINE, FINE)
    matrix = interpolation_matrix(FINE, 7)
    assert roundness(smooth, level) < 1.13
    assert level == 0.25 or roundness(resample_plane(plane, matrix, matrix), level) > 1.2


def roundness(heat: Floats, level: float) -> float:
    """Largest over smallest distance of the line from the middle, in eight directions."""
    reach = np.arange(0, 200)
    radii: list[float] = []
    for dy, dx in ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)):
        ray = heat[350 + dy * reach, 350 + dx * reach]
        radii.append(float(np.hypot(dy, dx)) * int((ray >= level).sum()))
    return max(radii) / min(radii)


def test_nearest_is_the_cell_at_the_position() -> None:
    plane = np.arange(6.0).reshape(2, 3)
    drawn = resample_nearest(plane, np.array([0.0, 0.99, 1.0, 1.99]), np.array([-0.1, 0.5, 1.0, 2.9, 3.1]))
    assert drawn.tolist() == [[0, 0, 1, 2, 2], [0, 0, 1, 2, 2], [3, 3, 4, 5, 5], [3, 3, 4, 5, 5]]
