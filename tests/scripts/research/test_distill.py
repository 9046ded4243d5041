"""The distillation experiment: its rows, its statistics by hand, and a short run that is resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from statsmodels.stats.power import TTestPower  # type: ignore[import-untyped]

from scripts.research.distill import data
from scripts.research.distill.__main__ import distill
from scripts.research.distill.pairs import choose_pairs, classes_of, mean_average_precision, pairs, side_by_side
from scripts.research.distill.results import RUNS, append, is_done, read
from scripts.research.distill.rows import CORE, MORE, PAPER
from scripts.research.distill.tables import detectable, interval, paired, plan_text, tables_text
from scripts.research.distill.training import Setting


def a_run(row: str, seed: int, error: float) -> dict[str, object]:
    """A line of the results."""
    measures = ("agreement", "energy gradcam", "pointing gradcam", "energy gradcam++", "pointing gradcam++")
    return {
        "row": row, "seed": seed, "clips": 2000, "steps": 200, "cpu_seconds": 10.0, "seconds": 100.0,
        "teacher_error": 0.026, "error": error, **dict.fromkeys(measures, 0.5),
    }  # fmt: skip


def test_the_core_is_table_4_with_gradcam_plus() -> None:
    assert set(PAPER) | {"gradcam+", "gradcam+ + KD"} == {row.name for row in CORE}
    assert all(row.form == "raw" and row.weight == 0.01 for row in CORE)
    assert [row.hinton for row in CORE] == [0.0] * 4 + [1.0] * 4
    assert len({row.name for row in (*CORE, *MORE)}) == len(CORE) + len(MORE)


def test_the_smallest_difference_is_that_of_a_t_test_with_this_power() -> None:
    for count in (5, 20):
        effect = TTestPower().solve_power(nobs=count, alpha=0.05, power=0.8)
        assert detectable(3.0, count) == pytest.approx(3 * effect, rel=0.04)


def test_intervals_and_pairs_by_hand() -> None:
    mean, low, high = interval(np.array([1.0, 2.0, 3.0]))
    assert (mean, high - mean, mean - low) == pytest.approx((2.0, 4.302653 / 3**0.5, 4.302653 / 3**0.5))
    runs = [a_run("gradcam", 0, 0.3), a_run("cross-entropy", 0, 0.4), a_run("gradcam", 1, 0.2)]
    np.testing.assert_allclose(paired(runs, "gradcam", "cross-entropy", "error"), [-0.1])


def test_tables_show_means_and_paired_differences() -> None:
    runs = [
        a_run(row, seed, base + 0.01 * seed)
        for row, base in (("cross-entropy", 0.4), ("gradcam", 0.3))
        for seed in (0, 1)
    ]
    text = tables_text([*runs, a_run("cross-entropy", 2, 0.9)])
    assert "| gradcam | 2 | 30.5 [" in text
    assert "| gradcam − cross-entropy | 2 | -10.0 [-10.0, -10.0] |" in text
    assert "+0.08 |" in text  # the paper's own difference
    assert "standard deviation 10.00" in plan_text(
        [a_run("cross-entropy", n, e) for n, e in enumerate((0.2, 0.3, 0.4))], 20
    )


def test_pairs_are_of_different_classes_and_stand_side_by_side() -> None:
    labels = torch.arange(40) % 8
    chosen = choose_pairs(labels, 20)
    assert chosen.shape == (20, 2)
    assert bool((classes_of(labels, chosen).sum(dim=1) == 2).all())
    clips = torch.arange(40.0).view(40, 1, 1, 1, 1).expand(40, 3, 2, 2, 2)
    joined = side_by_side(clips, chosen, 4)
    assert joined.shape == (20, 3, 2, 2, 4)
    assert joined[:, 0, 0, 0].tolist() == [[first, first, second, second] for first, second in chosen.tolist()]


def test_average_precision_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    present = torch.tensor([[1.0, 0], [0, 0], [1, 0], [0, 1]])
    assert mean_average_precision(scores, present) == pytest.approx(((1 + 2 / 3) / 2 + 1) / 2)


def test_results_survive_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / RUNS
    append(path, a_run("gradcam", 3, 0.5))
    with path.open("a") as file:
        file.write('{"row": "gradc')
    runs = read(path)
    assert [run["seed"] for run in runs] == [3]
    assert is_done(runs, "gradcam", 3, Setting())
    assert not is_done(runs, "gradcam", 3, Setting(clips=500))
    append(path, a_run("gradcam", 4, 0.5))
    append(path, a_run("gradcam", 4, 0.5))  # of two processes
    assert [run["seed"] for run in read(path)] == [3, 4]


@pytest.mark.slow
def test_a_short_run_is_resumed_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "TEST_CLIPS", 40)
    monkeypatch.setattr(data, "TRUTH_CLIPS", 2)
    arguments = ["run", "--out", str(tmp_path), "--seeds", "0", "1", "--clips", "8", "--steps", "3"]
    runner = CliRunner()
    assert runner.invoke(distill, arguments, catch_exceptions=False).exit_code == 0
    path = tmp_path / RUNS
    lines = path.read_text().splitlines(keepends=True)
    assert [json.loads(line)["row"] for line in lines] == [row.name for row in CORE]
    path.write_text("".join(lines[:5]))
    assert runner.invoke(distill, arguments, catch_exceptions=False).exit_code == 0
    again = read(path)
    for first, second in zip(map(json.loads, lines), again, strict=True):
        assert first["terms"] == second["terms"]
        assert first["wrong"] == second["wrong"]
    by_row = {run["row"]: run for run in again}
    assert by_row["gradcam"]["parameters"] * 8 < 181_724
    assert by_row["gradcam++"]["terms"]["raw"] > 100 * by_row["gradcam"]["terms"]["raw"]  # sums, not means
    assert "| gradcam |" in runner.invoke(distill, ["tables", str(tmp_path)], catch_exceptions=False).output
    result = runner.invoke(
        pairs, ["--out", str(tmp_path), "--seeds", "0", "2", "--clips", "16", "--steps", "2"], catch_exceptions=False
    )
    assert "| gradcam++ | 2 | 0." in result.output
