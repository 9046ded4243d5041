"""The study of the verdict on real clips: its rows and its table, with a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.research.verdict_videos import METHODS, best_control, measured, print_tables, spread_windows
from vidcam.models.registry import load_model
from vidcam.motion import make_clip
from vidcam.pipelines.forward import prepare
from vidcam.pipelines.study.motion_set import write_video
from vidcam.results.verdict import CHECKS, judge


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of one motion, one after another."""
    clips = [make_clip(seed, 2).frames for seed in range(5)]
    return write_video(tmp_path_factory.mktemp("videos") / "circle.mp4", clips)


def test_windows_are_spread_over_the_video(video: Path) -> None:
    model = load_model("tiny_r3d", device="cpu")
    every, ends = (spread_windows(model, str(video), most) for most in (9, 2))
    assert every.shape == (5, 3, 16, 64, 64)
    np.testing.assert_array_equal(ends, every[[0, 4]])


@pytest.mark.slow
def test_each_sure_window_is_judged_against_the_others(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_model("tiny_r3d", device="cpu")
    prepared = prepare(model, [str(model.spec.layer)])
    rows = measured(prepared, str(video), "circle", most=3, seed=0)
    single, double = ([row for row in rows if len(row["windows"]) == count] for count in (1, 2))
    assert [row["windows"] for row in single[:: len(METHODS)]] == [[0], [1], [2]]
    assert [row["windows"] for row in double[:: len(METHODS)]] == [[0, 1], [0, 2], [1, 2]]
    assert len(rows) == 6 * len(METHODS)
    for row in rows:
        assert row["class"] == "circle clockwise"
        assert set(row["checks"]) == set(CHECKS)
        assert set(row["truth"]) == {*METHODS, "random", "centre", "frame-difference"}
        assert judge(row["checks"]).word in ("reliable", "doubtful", "unreliable")
    assert measured(prepared, str(video), "circle", most=3, seed=0) == rows
    first, second, pair = (rows[place * len(METHODS)] for place in (0, 1, 3))  # one map of windows 0, 1 and of both
    logs = [np.log(row["checks"]["kept"]) for row in (first, second, pair)]
    assert logs[2] == pytest.approx(np.mean(logs[:2]))
    assert first["truth"]["centre"] == pytest.approx(np.log(rows[-1]["checks"]["kept_centre"]))  # windows 1 and 2
    assert pair["truth"]["centre"] == pytest.approx(np.log(rows[2 * len(METHODS)]["checks"]["kept_centre"]))
    print_tables(rows)
    printed = capsys.readouterr().out
    assert printed.startswith("\n## 1 window judged\n\n1 videos; ")
    assert printed.count("1 videos; ") == 3


def test_no_control_counts_less_than_the_least() -> None:
    truth = {"random": -9.0, "centre": -8.0, "frame-difference": -20.0}
    assert best_control({"truth": truth}) == -7.0
    assert best_control({"truth": truth | {"centre": -1.0}}) == -1.0
