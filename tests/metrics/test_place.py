from __future__ import annotations

import numpy as np
import pytest

from vidcam.metrics.place import peak_place, place_around


def test_the_box_around_a_maximum_covers_a_quarter_of_each_side() -> None:
    heat = np.zeros((8, 32, 40))
    heat[4, 20, 12] = 1.0
    assert peak_place(heat) == (slice(3, 5), slice(16, 24), slice(7, 17))


@pytest.mark.parametrize(
    ("centre", "size", "place"),
    [
        ((0, 0, 39), (8, 32, 40), (slice(0, 2), slice(0, 8), slice(30, 40))),
        ((31, 3), (32, 40), (slice(24, 32), slice(0, 10))),
        ((5,), (20,), (slice(3, 8),)),
        ((0, 1, 1), (1, 2, 2), (slice(0, 1), slice(1, 2), slice(1, 2))),
    ],
)
def test_the_box_lies_inside_whatever_the_axes(
    centre: tuple[int, ...], size: tuple[int, ...], place: tuple[slice, ...]
) -> None:
    assert place_around(centre, size) == place
