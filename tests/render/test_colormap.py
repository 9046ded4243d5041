"""Colour tables: their order in colour, in grey and for colour-blind readers."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.research.colour_vision import VISIONS, lab
from vidcam.errors import NameNotFoundError
from vidcam.render.colormap import ColourTable, colour_table
from vidcam.render.overlay import drawn_colours


def test_the_default_runs_from_dark_blue_to_yellow() -> None:
    table = colour_table()
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert table[0].tolist() == [10, 0, 104]
    assert table[51].tolist() == [140, 0, 180]
    assert table[-1].tolist() == [255, 255, 0]


def test_matplotlib_s_colour_maps_have_their_names() -> None:
    assert colour_table("inferno")[[0, 255]].tolist() == [[0, 0, 4], [252, 255, 164]]


def test_gray_is_the_identity() -> None:
    assert np.array_equal(colour_table("gray"), np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))


@pytest.mark.parametrize("vision", VISIONS)
def test_the_lightness_of_the_default_increases_in_clear_steps(vision: str) -> None:
    """Of ten colours, each is at least 3 lighter than the one before (CIE L*), and 10 away, for all readers."""
    colours = lab(colour_table(), vision)
    assert np.diff(colours[:, 0]).min() > -0.25  # a step of rounding
    assert np.diff(colours[::8, 0]).min() > 0
    ten = colours[np.linspace(0, 255, 10).round().astype(int)]
    assert np.diff(ten[:, 0]).min() > 3
    assert np.linalg.norm(np.diff(ten, axis=0), axis=1).min() > 10


@pytest.mark.parametrize("vision", VISIONS)
def test_over_grey_the_lightness_increases_where_the_overlay_has_faded_in(vision: str) -> None:
    drawn = lab(drawn_colours(colour_table()), vision)[round(0.25 * 255) :: 16, 0]
    assert np.diff(drawn).min() > 1
    assert drawn[-1] - drawn[0] > 25


@pytest.mark.parametrize("name", ["turbo", "jet"])
def test_the_test_of_lightness_can_fail(name: str) -> None:
    table: ColourTable = colour_table(name)
    assert np.diff(lab(table, "normal")[::8, 0]).min() < 0


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(NameNotFoundError, match=r"colour map 'infernal' not found; the nearest are .*'inferno'"):
        colour_table("infernal")
