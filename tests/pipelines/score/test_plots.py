from __future__ import annotations

from pathlib import Path

import numpy as np

from vidcam.pipelines.score.plots import _curve
from vidcam.pipelines.score.summary import Mean
from vidcam.render.score_plots import plot_retention


def test_an_undefined_value_leaves_a_gap_in_a_curve(tmp_path: Path) -> None:
    undefined = Mean(None, None, None)
    curve = _curve({"0.5": undefined, "0.25": Mean(50.0, 40.0, 60.0)})
    np.testing.assert_array_equal(curve[1], [100.0, 50.0, np.nan])
    plot_retention(tmp_path / "retention.png", {"gradcam": curve}, title="")
    assert (tmp_path / "retention.png").exists()
