"""Several windows of a clip: which ones, and how they become one row."""

from __future__ import annotations

import csv
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.nets import TINY_SPEC, hidden_model
from tests.helpers.videos import noise_frames, write_video
from vidcam.errors import InputError, OutputError
from vidcam.pipelines.explain.predict import Predictor
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.score import samples
from vidcam.pipelines.score.clip import ClipScorer
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.samples import Failure, load_windows
from vidcam.pipelines.score.window_means import mean_log, mean_row
from vidcam.pipelines.score.windows import WindowChoice, window_choice, windows_of
from vidcam.video.reader import open_video

OPTIONS = ScoreOptions(methods=("gradcam",), measures="relative,retention,curve,insertion-deletion", batch_size=4)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("windows") / "a.mkv"
    write_video(path, noise_frames(11, 16, 16, seed=5), fps=Fraction(25))
    return path


def starts(video: Path, choice: WindowChoice, *, start: float | None = None, frames: int = 4) -> list[int]:
    """First frame of each window."""
    spec = replace(TINY_SPEC, frames=frames)
    with open_video(str(video)) as reader:
        windows = windows_of(Entry(0, str(video), "a", start_seconds=start), reader.info, spec, choice)
        return [int(np.searchsorted(reader.info.pts_seconds, window.times[0])) for window in windows]


def rows_of(video: Path, choice: WindowChoice, *, start: float | None = None, label: str = "") -> list[dict[str, Any]]:
    model = hidden_model()
    clip = load_windows(Entry(0, str(video), "a", start, label), model.spec, choice=choice)
    assert not isinstance(clip, Failure)
    return ClipScorer(model, resolve(model, OPTIONS)[0], None).score(clip)


def test_the_windows_of_each_choice(video: Path) -> None:
    """Eleven frames in windows of four: `all` steps by two and ends with the video; three are spread evenly."""
    assert starts(video, "central") == [3]
    assert starts(video, "all") == [0, 2, 4, 6, 7]
    assert starts(video, 3) == [0, 3, 7]
    assert starts(video, 2) == [0, 7]
    assert starts(video, 100) == list(range(8))  # there are no more
    assert starts(video, "all", start=0.08) == [2]
    assert starts(video, 5, frames=11) == [0]


def test_a_choice_that_cannot_be_is_refused() -> None:
    assert [window_choice(text) for text in ("central", "1", 1, "all", "7", 7)] == [*["central"] * 3, "all", 7, 7]
    for text in ("0", "-1", "many", "1.5", "", "10001", "٣"):
        with pytest.raises(InputError, match="must be central, all or a number from 1"):
            ScoreOptions(windows=text)
    with pytest.raises(InputError, match="--maps has one map for each clip"):
        ScoreOptions(windows="all", maps="folder")


def test_all_windows_predict_what_explain_predicts(video: Path) -> None:
    predicted = Predictor(hidden_model(), ExplainOptions()).predict(str(video)).document
    row = rows_of(video, "all", label=predicted.top5[0].label)[0]
    assert len(predicted.windows) == row["windows"] == 5
    assert row["class"] == predicted.top5[0].label
    assert row["probability"] == pytest.approx(predicted.top5[0].probability, abs=1e-7)  # batches of float32
    assert row["correct"] is True
    assert row["correct_top5"] is None  # of four classes, five are no feat


def test_a_clip_keeps_the_mean_probability_of_its_windows(video: Path) -> None:
    """Each window alone has the same top class here, so that its rows can be averaged by hand."""
    alone = [{row["method"]: row for row in rows_of(video, "central", start=0.04 * first)} for first in (0, 3, 7)]
    together = {row["method"]: row for row in rows_of(video, 3)}
    assert {rows["gradcam"]["class"] for rows in alone} == {together["gradcam"]["class"]}
    for method in ("gradcam", "centre"):
        own, row = [rows[method] for rows in alone], together[method]
        original, masked = (np.array([each[c] for each in own]) for c in ("probability", "masked_probability"))
        assert row["probability"] == pytest.approx(original.mean())
        assert row["masked_probability"] == pytest.approx(masked.mean(), rel=1e-5)
        assert row["drop"] == pytest.approx(max(0.0, 1 - masked.mean() / original.mean()), abs=1e-5)
        assert row["area"] == pytest.approx(np.mean([each["area"] for each in own]), rel=1e-6)
    kept = np.array([rows["centre"]["retention_0.5"] * rows["centre"]["probability"] for rows in alone])
    assert together["centre"]["retention_0.5"] * together["centre"]["probability"] == pytest.approx(
        kept.mean(), rel=0.02
    )
    deletions = [rows["centre"]["frame_deletion"] for rows in alone]
    assert together["centre"]["frame_deletion"] == pytest.approx(np.mean(deletions), rel=0.02)


def test_windows_that_do_not_fit_into_memory_are_decoded_again(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rows_of(video, "all")
    monkeypatch.setattr(samples, "HELD_BYTES", 2 * 4 * 3 * 4 * 16 * 16)
    clip = load_windows(Entry(0, str(video), "a"), hidden_model().spec, choice="all")
    assert not isinstance(clip, Failure)
    assert len(clip) == len(list(clip)) == len(list(clip)) == 5
    assert rows_of(video, "all") == expected
    video.rename(video.with_suffix(".gone"))
    try:
        with pytest.raises(InputError, match="does not exist"):
            list(clip)
    finally:
        video.with_suffix(".gone").rename(video)


def test_the_columns_of_a_map_by_hand() -> None:
    rows: list[dict[str, Any]] = [
        {"area": 0.25, "empty": True, "artifact": False, "alpha_min": 0.25, "alpha_max": 0.5, "energy": 0.5},
        {"area": 0.75, "empty": False, "artifact": True, "alpha_min": 0.125, "alpha_max": 0.25, "evidence": np.ones(2)},
    ]
    merged = mean_row(rows)
    assert merged["evidence"].tolist() == [1.0, 1.0]
    del merged["evidence"]
    assert merged == {
        "area": 0.5,
        "empty": False,
        "artifact": True,
        "alpha_min": 0.125,
        "alpha_max": 0.5,
        "energy": 0.5,
    }
    assert mean_log([np.log(0.25), np.log(0.75)]) == pytest.approx(np.log(0.5))
    assert mean_log([-0.3]) == -0.3
    assert mean_log([-2000.0, -2000.0]) == pytest.approx(-2000.0)


def test_a_run_says_its_windows_and_is_resumed_only_with_them(video: Path, tmp_path: Path) -> None:
    manifest, out = tmp_path / "set.csv", tmp_path / "out"
    manifest.write_text(f"path,label\n{video},green\n", "utf-8")
    options = replace(OPTIONS, windows="all")
    summary = score_set(manifest, out, options, model=hidden_model()).summary
    assert (summary.n, summary.windows, summary.settings.windows) == (1, 5.0, "all")
    assert "all windows that `explain` shows, 5.0 a clip" in (out / "report.md").read_text("utf-8")
    with (out / "scores.csv").open(newline="") as file:
        assert {row["windows"] for row in csv.DictReader(file)} == {"5"}
    with pytest.raises(OutputError, match="windows was all, is central"):
        score_set(manifest, out, OPTIONS, model=hidden_model())
    assert score_set(manifest, out, options, model=hidden_model()).forwards == (0, 0)
