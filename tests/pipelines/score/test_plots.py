"""The plots of a scoring run, drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.nets import hidden_model
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.plots import CAPTIONS, _curve
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.summary import Mean
from vidcam.render.score_plots import plot_retention


@pytest.fixture(scope="module", autouse=True)
def pictures_as_text() -> None:
    """Draw."""


def test_every_plot_of_a_run_is_a_picture_and_drawn_again_it_has_the_same_bytes(manifest: Path, tmp_path: Path) -> None:
    options = ScoreOptions(methods=("gradcam", "gradcam++"), measures="all", sanity=2)
    score_set(manifest, tmp_path, options, model=hidden_model())
    drawn = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
    assert set(drawn) == set(CAPTIONS)
    for name in drawn:
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 800
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20
        (tmp_path / name).unlink()
    assert score_set(manifest, tmp_path, options, model=hidden_model()).forwards == (0, 0)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == drawn


def test_an_undefined_value_leaves_a_gap_in_a_curve(tmp_path: Path) -> None:
    undefined = Mean(None, None, None)
    curve = _curve({"0.5": undefined, "0.25": Mean(50.0, 40.0, 60.0)})
    np.testing.assert_array_equal(curve[1], [100.0, 50.0, np.nan])
    plot_retention(tmp_path / "retention.png", {"gradcam": curve}, title="")
    assert (tmp_path / "retention.png").exists()
