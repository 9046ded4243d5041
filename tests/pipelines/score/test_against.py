"""Runs compared clip by clip: two networks on the same clips, and numbers by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from vidcam.cli.app import main
from vidcam.errors import InputError
from vidcam.metrics.paired import holm, signed_rank
from vidcam.models.model import Model
from vidcam.pipelines.score.against import RunComparison, compare_runs, run_names
from vidcam.pipelines.score.against_report import sentences, write_comparison
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.run import score_set
from vidcam.pipelines.score.scored_set import ScoredSet, read_scored_set
from vidcam.system.json_files import read_json

THETAS = ("0.25", "0.5", "0.75")


def shy(model: Model) -> Model:
    """The same network with weights that make it less sure."""
    for weight in model.module.parameters():
        weight.data *= 0.8
    return model


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScoredSet, ScoredSet]:
    folder = tmp_path_factory.mktemp("runs")
    manifest = write_set(folder / "set", 12, broken={3})
    options = ScoreOptions(methods=("gradcam", "gradcam++"), controls=False)
    for name, model in (("first", hidden_model()), ("second", shy(hidden_model()))):
        score_set(manifest, folder / name, options, model=model)
    first, second = (read_scored_set(folder / name) for name in ("first", "second"))
    return first, second


def test_the_comparison_equals_loops_over_the_clips(runs: tuple[ScoredSet, ScoredSet]) -> None:
    (change,) = compare_runs(runs[0], runs[1:]).changes
    assert (change.run, change.clips) == ("second", 11)
    p_values = []
    for each in change.methods:
        rows = [[next(r for r in run.rows[c] if r["method"] == each.method) for c in runs[0].scored] for run in runs]
        drops = [100 * np.array([float(row["drop"]) for row in of_run]) for of_run in rows]
        assert each.drop_change.value == pytest.approx(np.mean(drops[0] - drops[1]))
        logs = [[np.mean([math.log(float(row[f"retention_{t}"])) for t in THETAS]) for row in r] for r in rows]
        ratios = np.subtract(*map(np.array, logs))
        assert each.log_ratio is not None
        assert each.log_ratio.value == pytest.approx(ratios.mean())
        p_values.append(signed_rank(ratios, [row["group"] for row in rows[0]]).p_value)
    assert [each.p_holm for each in change.methods] == pytest.approx(holm(p_values))
    right = [[run.rows[c][0]["correct"] == "true" for c in run.scored if run.rows[c][0]["correct"]] for run in runs]
    assert (change.accuracy, change.other_accuracy) == pytest.approx(tuple(np.mean(flags) for flags in right))


def test_a_run_against_itself_has_no_difference(runs: tuple[ScoredSet, ScoredSet]) -> None:
    (change,) = compare_runs(runs[0], [replace(runs[0], folder=Path("again"))]).changes
    assert change.p_accuracy == 1.0
    for each in change.methods:
        assert each.log_ratio is not None
        assert (each.drop_change.value, each.log_ratio.value, each.p_holm) == (0.0, 0.0, 1.0)


def test_sets_without_anything_in_common_are_refused(runs: tuple[ScoredSet, ScoredSet]) -> None:
    first, second = runs
    with pytest.raises(InputError, match="has no scored clip in common"):
        compare_runs(first, [replace(second, rows={})])
    others = replace(second.summary, methods={"legrad": second.summary.methods["gradcam"]})
    with pytest.raises(InputError, match="has no method in common"):
        compare_runs(first, [replace(second, summary=others)])


def test_few_clips_are_said_to_be_too_few(runs: tuple[ScoredSet, ScoredSet]) -> None:
    """Eleven clips in four groups: two tests need seven groups."""
    texts = list(sentences(compare_runs(runs[0], runs[1:])))
    assert (
        sum("4 groups of clips cannot tell the runs apart" in text and "it takes 7 or more" in text for text in texts)
        == 2
    )
    assert "none can be shown. It takes 5 runs." in texts[-1]


def test_runs_are_named_after_their_folders(tmp_path: Path) -> None:
    assert run_names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert run_names([tmp_path / "a", tmp_path / "b" / "a"]) == [str(tmp_path / "a"), str(tmp_path / "b" / "a")]


def test_the_files_of_a_comparison(runs: tuple[ScoredSet, ScoredSet]) -> None:
    folder = runs[0].folder
    compared, paths = write_comparison(folder, runs[1:])
    assert [path.name for path in paths] == ["against.md", "against.png", "against.json"]
    assert read_json(folder / "against.json", RunComparison) == compared
    text = (folder / "against.md").read_text("utf-8")
    assert "## Against second: 11 clips" in text
    assert (folder / "against.png").stat().st_size > 5000


def test_the_command_compares_and_refuses_a_folder_before_it_scores(
    runs: tuple[ScoredSet, ScoredSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_set(tmp_path / "set", 4)
    arguments = ["score", str(manifest), "-o", str(tmp_path / "out"), "--model", "tests.helpers.nets:hidden_model"]
    assert main([*arguments, "--against", str(tmp_path)]) == 2
    assert f"{tmp_path} is no scored set: summary.json is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--method", "gradcam", "--against", str(runs[1].folder)]) == 0
    output = capsys.readouterr()
    assert "gradcam: " in output.out
    assert "against.md" in output.err
