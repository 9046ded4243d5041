from __future__ import annotations

from pathlib import Path

import numpy as np

from vidcam.pipelines.score.plots import _curve
from vidcam.pipelines.score.summary import Mean
from vidcam.render.score_plots import plot_retention


def test_a_curve_without_a_figure_is_drawn_with_a_gap(tmp_path: Path) -> None:
    undefined = Mean(None, None, None)
    curve = _curve({"0.5": undefined, "0.25": Mean(50.0, 40.0, 60.0)})
    np.testing.assert_array_equal(curve[1], [100.0, 50.0, np.nan])
    plot_retention(tmp_path / "retention.png", {"gradcam": curve}, title="")
    assert (tmp_path / "retention.png").exists()
