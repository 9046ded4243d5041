"""`occlusion` and `rise` of a video: files, JSON, the saved maps, and progress within a window."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import vidcam
from tests.helpers.nets import brightness_model
from tests.pipelines.conftest import VideoMaker
from vidcam.cli.app import main
from vidcam.errors import InputError
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.request import ExplainOptions


def test_files_numbers_and_progress(make_video: VideoMaker, tmp_path: Path) -> None:
    told: list[float] = []

    def progress(stage: str, done: float, _total: float | None) -> None:
        if stage == "explaining windows":
            told.append(done)

    result = explain_video(
        make_video(count=60),
        tmp_path / "out",
        model=brightness_model(),
        methods=("occlusion", "rise"),
        targets="Bright thing",
        budget=10,
        batch_size=1,
        progress=progress,
    )
    windows = len(result.document.windows)
    assert len(told) == windows * (9 + 10 + 1)  # each box and the clip, each mask, and the window
    np.testing.assert_allclose(told[:3], [1 / 18, 2 / 18, 3 / 18])
    np.testing.assert_allclose([told[8], told[9], told[18], told[19]], [0.5, 0.55, 1.0, 1.0])
    assert told == sorted(told)
    entries = result.document.targets[0].methods
    assert entries["occlusion"].grid == (2, 2, 2)
    assert entries["rise"].grid == (16, 28, 28)
    assert entries["occlusion"].noise is None
    assert entries["rise"].noise is not None
    assert 0 < entries["rise"].noise < 1
    assert any("standard error of rise" in sentence for sentence in result.document.audit)
    saved = vidcam.load(tmp_path / "out" / "video.npz")
    assert isinstance(saved, vidcam.VideoExplanation)
    maps = saved.explanations[0]
    assert maps.stored("rise").dtype == np.float16
    np.testing.assert_allclose(maps.noise["rise"].max(), entries["rise"].noise)
    assert {path.suffix for path in result.paths} >= {".mp4", ".png", ".npz", ".json"}


def test_the_budget_from_the_command_line(
    make_video: VideoMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "explain",
        str(make_video(count=20)),
        "-o",
        str(tmp_path),
        "--model",
        "tests.helpers.nets:brightness_model",
    ]
    options = ["--method", "occlusion", "--budget", "19", "--outputs", "data", "--json"]
    assert main([*arguments, *options]) == 0
    (document,) = json.loads(capsys.readouterr().out)["results"]
    assert document["targets"][0]["methods"]["occlusion"]["grid"] == [2, 3, 3]
    assert "budget = 19" in (tmp_path / "video.toml").read_text("utf-8")


def test_a_budget_that_is_too_small() -> None:
    with pytest.raises(InputError, match="budget is 1"):
        ExplainOptions(methods=("rise",), budget=1)
