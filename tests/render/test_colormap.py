"""Colour tables."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import NameNotFoundError
from vidcam.render.colormap import colour_table


def test_inferno_runs_from_black_to_pale_yellow() -> None:
    table = colour_table()
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert table[0].tolist() == [0, 0, 4]
    assert table[-1].tolist() == [252, 255, 164]


def test_gray_is_the_identity() -> None:
    assert np.array_equal(colour_table("gray"), np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))


def test_the_luminance_of_the_default_increases() -> None:
    luminance = colour_table().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > -0.5)


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(NameNotFoundError, match=r"colour map 'infernal' not found; the nearest are .*'inferno'"):
        colour_table("infernal")
