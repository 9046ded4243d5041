"""`score_clips` from end to end: files, numbers, resuming and errors."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.clipsets import write_set
from tests.helpers.nets import TINY_SPEC, bright_image_model, brightness_model, hidden_model
from tests.pipelines.conftest import VideoMaker
from vidcam.errors import InputError, OutputError
from vidcam.models.model import Model
from vidcam.pipelines.score import store
from vidcam.pipelines.score.options import CONTROLS, ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.summary import Mean
from vidcam.system.json_files import as_plain

QUICK = ScoreOptions(methods=("gradcam", "gradcam++"))
ALL = ScoreOptions(methods=("gradcam", "gradcam++"), measures="all", sanity=2)


@pytest.fixture(scope="module")
def scored(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ScoredClips, Path]:
    """A run of all measures without interruption."""
    out = tmp_path_factory.mktemp("scored") / "out"
    return score_set(manifest, out, ALL, model=hidden_model(), command="vidcam score set.csv"), out


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CLIPS_PER_PART", 2)


def table(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_files_are_written(scored: tuple[ScoredClips, Path]) -> None:
    result, out = scored
    assert sorted(path.name for path in out.iterdir()) == [
        "alpha.png",
        "classes.png",
        "evidence.png",
        "relative.png",
        "report.html",
        "report.md",
        "retention.png",
        "sanity.png",
        "scores",
        "scores.csv",
        "summary.json",
    ]
    assert result.paths[-1] == out / "summary.json"
    assert json.loads(result.paths[-1].read_text("utf-8")) == as_plain(result.summary)
    assert result.failed == 2
    assert result.table.n == 7
    assert result.forwards[1] == 7


def test_rows_are_in_the_order_of_the_set_then_of_the_methods(scored: tuple[ScoredClips, Path], manifest: Path) -> None:
    rows = table(scored[1])
    names = ["gradcam", "gradcam++", *CONTROLS]
    assert [(int(row["clip"]), row["method"]) for row in rows] == [
        (clip, method) for clip in range(9) for method in ([""] if clip in (2, 5) else names)
    ]
    with manifest.open(newline="") as file:
        assert [row["path"] for row in rows if row["method"] in ("", "gradcam")] == [
            entry["path"] for entry in csv.DictReader(file)
        ]


def test_a_clip_that_failed_is_one_row_with_its_reason(scored: tuple[ScoredClips, Path]) -> None:
    broken = [row for row in table(scored[1]) if row["status"] == "failed"]
    assert [row["path"] for row in broken] == ["text.mp4", "nowhere.mp4"]
    assert "does not exist" in broken[1]["reason"]
    assert {row["drop"] for row in broken} == {""}
    assert [failure.path for failure in scored[0].summary.failures] == ["text.mp4", "nowhere.mp4"]


def test_the_table_has_no_path_of_this_machine(scored: tuple[ScoredClips, Path], manifest: Path) -> None:
    text = (scored[1] / "scores.csv").read_text()
    assert str(manifest.parent) not in text
    assert str(scored[1]) not in text


def test_the_summary_is_the_mean_of_the_rows(scored: tuple[ScoredClips, Path]) -> None:
    summary, rows = scored[0].summary, table(scored[1])
    assert summary.time is not None
    for method, figures in summary.methods.items():
        own = [row for row in rows if row["method"] == method]
        mean, drop = 100 * np.mean([float(row["drop"]) for row in own]), figures.average_drop
        assert drop.value == pytest.approx(mean, rel=1e-6)
        assert drop.value is not None
        assert (drop.low or 0.0) <= drop.value <= (drop.high or 0.0)
        half = 100 * np.mean([float(row["retention_0.5"]) for row in own])
        assert figures.retention["0.5"].value == pytest.approx(half, rel=1e-6)
        courses = [[float(part) for part in row["evidence"].split()] for row in own]
        assert summary.time.evidence[method] == pytest.approx(np.mean(courses, axis=0).tolist())
    assert (summary.n, summary.failed, summary.clips, summary.left_out) == (7, 2, 9, 0)
    assert summary.groups == 3


def test_the_schema_of_the_summary(scored: tuple[ScoredClips, Path]) -> None:
    summary = json.loads((scored[1] / "summary.json").read_text("utf-8"))
    assert summary["settings"] == json.loads((scored[1] / "scores" / "settings.json").read_text("utf-8"))
    assert (summary["settings"]["schema"], summary["settings"]["model"]) == (2, "tiny")
    assert set(summary) >= {"n", "failed", "methods", "pairs"}
    assert summary["command"] == "vidcam score set.csv"
    assert list(summary["methods"]) == ["gradcam", "gradcam++", *CONTROLS]
    assert set(summary["methods"]["gradcam++"]) >= {"average_drop", "increase", "area", "empty", "retention", "alpha"}
    first = summary["pairs"][0]
    assert (first["a"], first["b"]) == ("gradcam++", "gradcam")
    keys = "win_a win_b ties relative_performance log_mean log_std post_softmax equal_area"
    assert set(first) >= set(keys.split())
    assert set(first["equal_area"]) >= {"log_ratio", "by_theta", "p_value", "p_holm", "smallest_p_holm"}
    assert first["win_a"] + first["win_b"] + first["ties"] == pytest.approx(100)
    assert set(summary["time"]["probability"]) == {"original", "frozen", "shuffled", "reversed"}
    assert len(summary["time"]["evidence"]["gradcam"]) == 4
    assert summary["sanity"]["layers"] == ["out", "hidden", "conv"]


def test_the_report_has_settings_plots_and_failures(scored: tuple[ScoredClips, Path]) -> None:
    text = (scored[1] / "report.md").read_text("utf-8")
    for part in ("tiny", "random (seed 0)", "relu", "black", "n = 7 scored of 9; 2 failed", "`vidcam score set.csv`"):
        assert part in text
    for part in ("vidcam 0.", "![", "nowhere.mp4: ", "| gradcam++ |", "Wilcoxon", "Sanity checks"):
        assert part in text


def test_the_number_of_workers_does_not_change_the_bytes(scored: tuple[ScoredClips, Path], manifest: Path) -> None:
    out = scored[1].with_name("five")  # beside it: the page links to the videos
    score_set(manifest, out, replace(ALL, workers=5), model=hidden_model(), command="vidcam score set.csv")
    for name in sorted(path.name for path in scored[1].iterdir() if path.is_file()):
        assert (out / name).read_bytes() == (scored[1] / name).read_bytes(), name


@pytest.mark.usefixtures("small_parts")
def test_a_resumed_run_gives_the_same_bytes(scored: tuple[ScoredClips, Path], manifest: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, done: float, _total: float | None) -> None:
        if stage == "scoring clips" and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_set(manifest, tmp_path, ALL, model=hidden_model(), progress=interrupt)
    assert not (tmp_path / "scores.csv").exists()
    result = score_set(manifest, tmp_path, ALL, model=hidden_model())
    assert result.forwards[1] == 3  # of the nine five were done, and one more is broken
    assert (tmp_path / "scores.csv").read_bytes() == (scored[1] / "scores.csv").read_bytes()


def test_a_complete_run_does_not_run_the_model(scored: tuple[ScoredClips, Path], manifest: Path) -> None:
    before = (scored[1] / "scores.csv").read_bytes()
    again = score_set(manifest, scored[1], ALL, model=hidden_model(), command="vidcam score set.csv")
    assert again.forwards == (0, 0)
    assert (scored[1] / "scores.csv").read_bytes() == before
    assert as_plain(again.summary) == as_plain(scored[0].summary)


def test_the_automatic_batch_size_is_that_of_the_former_run(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This happens if a run is resumed on another device."""
    first = score_set(manifest, tmp_path / "out", QUICK, model=hidden_model())
    monkeypatch.setattr("vidcam.devices.CPU_BATCH", 7)
    again = score_set(manifest, tmp_path / "out", QUICK, model=hidden_model())
    assert again.summary.settings.batch_size == first.summary.settings.batch_size == 4
    anew = score_set(manifest, tmp_path / "out", replace(QUICK, overwrite=True), model=hidden_model())
    assert anew.summary.settings.batch_size == 7


def test_plots_of_an_earlier_run_are_deleted(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score_set(manifest, out, replace(QUICK, sanity=1), model=hidden_model())
    assert (out / "sanity.png").exists()
    score_set(manifest, out, QUICK, model=hidden_model())
    assert not (out / "sanity.png").exists()


def test_other_settings_and_other_clips_are_refused(
    scored: tuple[ScoredClips, Path], manifest: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="fill was black, is mean"):
        score_set(manifest, scored[1], replace(ALL, fill="mean"), model=hidden_model())
    with pytest.raises(OutputError, match=r"clips was 9 \(sha256 .*\), is 7"):
        score_set(write_set(tmp_path, 7), scored[1], ALL, model=hidden_model())


def test_a_set_without_a_scored_clip_has_a_summary(manifest: Path, tmp_path: Path) -> None:
    clips = [{"path": manifest.parent / "video0.mkv", "start": start} for start in (1e4, 2e4)]
    result = score_set(clips, tmp_path, QUICK, model=hidden_model())
    assert (result.summary.n, result.failed) == (0, 2)
    assert result.summary.methods["gradcam"].average_drop == Mean(None, None, None)
    assert [row["status"] for row in table(tmp_path)] == ["failed", "failed"]


def test_one_clip_is_enough(manifest: Path, tmp_path: Path) -> None:
    clip = manifest.parent / "video0.mkv"
    result = score_set([clip], tmp_path, replace(ALL, sanity=0), model=hidden_model())
    assert result.summary.n == 1
    assert result.summary.pairs[0].log_std is None
    assert table(tmp_path)[0]["path"] == "video0.mkv"


class OutOfMemoryOnce(nn.Module):
    """A network that is out of memory with more than two clips."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, clip: Tensor) -> Tensor:
        if len(clip) > 2:
            raise RuntimeError("CUDA out of memory")
        scores: Tensor = self.inner(clip)
        return scores


def greedy_model() -> Model:
    inner = hidden_model()
    spec = replace(TINY_SPEC, layer="inner.relu")
    return Model(spec, OutOfMemoryOnce(inner.module), inner.labels, inner.weights)


@pytest.mark.usefixtures("small_parts")
def test_out_of_memory_is_recorded_and_a_resumed_run_uses_the_smaller_batch(manifest: Path, tmp_path: Path) -> None:
    def interrupt(_stage: str, done: float, _total: float | None) -> None:
        if done == 4:
            raise KeyboardInterrupt

    undisturbed = tmp_path / "undisturbed"
    score_set(manifest, undisturbed, replace(QUICK, batch_size=16), model=greedy_model())
    assert {row["batch_size"] for row in table(undisturbed) if row["method"]} == {"2"}
    with pytest.raises(KeyboardInterrupt):
        score_set(manifest, tmp_path / "out", replace(QUICK, batch_size=16), model=greedy_model(), progress=interrupt)
    score_set(manifest, tmp_path / "out", replace(QUICK, batch_size=16), model=greedy_model())
    assert (tmp_path / "out" / "scores.csv").read_bytes() == (undisturbed / "scores.csv").read_bytes()


class BrokenOnBright(nn.Module):
    """A network that fails on one clip of a set and not on a grey one."""

    def __init__(self, inner: nn.Module, limit: float) -> None:
        super().__init__()
        self.inner, self.limit = inner, limit

    def forward(self, clip: Tensor) -> Tensor:
        if float(clip.max()) == self.limit:
            raise RuntimeError("this kernel does not like noise")
        scores: Tensor = self.inner(clip)
        return scores


def test_if_the_model_fails_on_a_clip_only_that_clip_fails(
    manifest: Path, make_video: VideoMaker, tmp_path: Path
) -> None:
    inner = hidden_model()
    model = Model(replace(TINY_SPEC, layer="inner.relu"), BrokenOnBright(inner.module, 1.0), inner.labels, "own")
    clips = [manifest.parent / "video0.mkv", make_video(count=8)]
    result = score_set(clips, tmp_path / "out", QUICK, model=model)
    assert result.failed == len(result.summary.failures) >= 1
    assert "this kernel does not like noise" in result.summary.failures[0].reason


def test_a_model_that_fails_on_everything_is_refused_at_once(manifest: Path, tmp_path: Path) -> None:
    inner = hidden_model()
    model = Model(replace(TINY_SPEC, classes=4), inner.module, ("a", "b", "c", "d"), "own")
    with pytest.raises(InputError, match="returns 3 scores, but its spec has 4 classes"):
        score_set(manifest, tmp_path / "out", QUICK, model=model)
    assert not (tmp_path / "out").exists()


def test_the_model_is_left_as_it_was(manifest: Path, tmp_path: Path) -> None:
    model = hidden_model()
    model.module.train()
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    state = torch.get_rng_state()
    score_set(manifest, tmp_path, ALL, model=model)
    assert model.module.training
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    assert not any(module._forward_hooks for module in model.module.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_name_that_is_not_utf8_and_an_image_network(make_video: VideoMaker, tmp_path: Path) -> None:
    """A file name that is not UTF-8, and an image network: every measure has a value."""
    folder = tmp_path / "set"
    folder.mkdir()
    make_video().rename(folder / os.fsdecode(b"odd\xff.mp4"))
    result = score_set(folder, tmp_path / "out", replace(ALL, sanity=0), model=bright_image_model())
    assert (result.summary.n, result.failed) == (1, 0)
    (row, *_) = table(tmp_path / "out")
    assert row["path"] == r"odd\xff.mp4"
    assert len(row["evidence"].split()) == 1
    assert float(row["frame_insertion"]) > 0
    assert [row["method"] for row in table(tmp_path / "out")][2:] == ["random", "centre", "uniform"]


def test_clips_that_are_left_out_are_counted_separately(manifest: Path, tmp_path: Path) -> None:
    result = score_set(manifest, tmp_path, replace(QUICK, correct_only=True), model=hidden_model())
    summary = result.summary
    assert summary.n + summary.left_out + summary.failed == 9
    assert summary.left_out > 0
    everything = score_set(manifest, tmp_path / "all", QUICK, model=hidden_model()).summary
    assert summary.accuracy == everything.accuracy  # of all clips, not of those that are right
    assert 0 < (summary.accuracy.value or 0) < 1


@pytest.mark.slow
def test_the_worst_clips_are_rendered(make_video: VideoMaker, tmp_path: Path) -> None:
    clips: list[Any] = [make_video("one"), make_video("two", count=60)]
    result = score_set(clips, tmp_path / "out", replace(QUICK, render_worst=1), model=brightness_model())
    (line,) = result.summary.worst
    rendered = sorted(path.suffix for path in (tmp_path / "out" / "worst" / "1").iterdir())
    assert rendered == [".html", ".json", ".mp4", ".mp4", ".png"]
    assert "Bright thing" in line
    assert line in (tmp_path / "out" / "report.md").read_text("utf-8")


@pytest.mark.slow
def test_windows_of_one_video_are_rendered_into_separate_folders(make_video: VideoMaker, tmp_path: Path) -> None:
    one = make_video("one", count=60)
    clips = [{"path": one, "start": start} for start in (0.0, 0.5)]
    result = score_set(clips, tmp_path, replace(QUICK, render_worst=2), model=brightness_model())
    sheets = [line.rpartition("(")[2].removesuffix(")") for line in result.summary.worst]
    assert len(set(sheets)) == 2
    assert all((tmp_path / sheet).is_file() for sheet in sheets)
