"""The layout of a picture: the grid of several maps, and pictures that are too large."""

from __future__ import annotations

import pytest

from vidcam.errors import InputError
from vidcam.pipelines.render.composition import MOST_SIZE, Grid, Layout, grid_of
from vidcam.render.video_strip import strip_height


def test_the_strip_is_below_the_cells() -> None:
    grid = Grid(2, 3, (100, 160))
    assert Layout(grid).size == grid.size == (200, 480)
    assert Layout(grid, strip=True).size == (200 + strip_height(grid.size), 480)


@pytest.mark.parametrize("cell", [(100, 20_000), (16_380, 100), (10_000, 10_000)])
def test_pictures_that_are_too_large_are_refused(cell: tuple[int, int]) -> None:
    message = rf"the picture would have {cell[1]} × \d+ pixels, more than 16384 per side"
    with pytest.raises(InputError, match=message):
        Layout(Grid(1, 1, cell), strip=True)


@pytest.mark.parametrize(
    ("count", "size", "shape"),
    [
        (2, (1080, 1920), (1, 2)),
        (3, (1080, 1920), (1, 3)),
        (4, (1080, 1920), (2, 2)),
        (5, (1080, 1920), (2, 3)),
        (3, (256, 340), (1, 3)),
        (3, (1920, 1080), (1, 3)),
        (2, (2160, 3840), (1, 2)),
    ],
)
def test_grids(count: int, size: tuple[int, int], shape: tuple[int, int]) -> None:
    grid = grid_of(count, size)
    assert (grid.rows, grid.columns) == shape
    assert grid.size[0] <= MOST_SIZE[0] and grid.size[1] <= MOST_SIZE[1]  # noqa: PT018
    assert grid.cell[1] / grid.cell[0] == pytest.approx(size[1] / size[0], rel=0.01)
    height, width = grid.cell
    for number in range(count):
        row, column = divmod(number, grid.columns)  # as one reads
        rows, columns = grid.place(number)
        assert (rows.start, rows.stop, columns.start) == (row * height, (row + 1) * height, column * width)
        assert columns.stop - columns.start == width
