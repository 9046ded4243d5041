"""The measures of the maps of words and captions, on maps made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from scripts.research import captions as script
from scripts.research.train_tiny import weights
from vidcam.models.families.tiny_captioner import TinyCaptioner
from vidcam.motion.captions import Thing, caption_of

THINGS = Thing("red", "bar", "rises", "left"), Thing("blue", "disc", "grows", "right")


def two_masks() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """One clip of 4 × 8 × 8; the things are the first and the last column."""
    masks = np.zeros((1, 2, 4, 8, 8), np.bool_)
    masks[:, 0, ..., 0] = masks[:, 1, ..., 7] = True
    return masks


def test_places_of_words_are_those_of_the_caption() -> None:
    words = caption_of(THINGS).split()
    for kind, places in script.PLACES_OF_KINDS.items():
        assert [words[place] for place in places] == [getattr(thing, kind) for thing in THINGS]
        assert places[0] < words.index("and") < places[1]


def test_a_word_is_measured_on_its_thing() -> None:
    heat = np.zeros((1, 4, 8, 8))
    heat[..., 0], heat[..., 7], heat[..., 3] = 1.0, 0.5, 0.5
    values = script.word_measures(heat, two_masks(), 0)[:, 0]
    assert values[[0, 1, 2, 4, 5, 6]].tolist() == pytest.approx([0.5, 2 / 3, 2 / 3, 1.0, 0.0, 0.0])
    assert np.isnan(values[3])
    assert script.word_measures(heat, two_masks(), 1)[1, 0] == pytest.approx(1 / 3)
    assert script.word_measures(0 * heat, two_masks(), 1)[[1, 6], 0].tolist() == [0.5, 1.0]


def test_a_caption_is_measured_on_both_things() -> None:
    heat = np.zeros((1, 4, 8, 8))
    heat[..., 0], heat[:, :1, :, 7] = 1.0, 0.5
    energy, coverage, weaker, found, share = script.caption_measures(heat, two_masks())[:, 0]
    assert energy == 1.0
    assert (coverage, weaker, found) == (0.625, 0.25, 1.0)
    assert share == pytest.approx(4 / 36)


def test_wrong_words() -> None:
    assert script.swapped(THINGS, "colour", 0)[0].colour == "blue"
    assert script.absent(THINGS, "motion", 1)[1].motion == "falls"
    assert script.absent(THINGS, "motion", 1)[0] == THINGS[0]


def test_the_mean_over_things_leaves_out_what_is_not_defined() -> None:
    first, second = np.array([[1.0], [2.0]]), np.array([[3.0], [np.nan]])
    assert script.over_things([first, second]).tolist() == [[2.0], [2.0]]


@pytest.mark.slow
def test_the_tables_are_printed(tmp_path: Path) -> None:
    path = tmp_path / "random.safetensors"
    torch.manual_seed(0)
    path.write_bytes(weights(TinyCaptioner()))
    result = CliRunner().invoke(script.captions, ["--clips", "2", "--weights", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if line.startswith("###")] == [
        "### Words, 2 clips",
        "### Words, by the score, 2 clips",
        "### Whole captions, 2 clips",
        "### Wrong words, 2 clips",
    ]
