"""Ratios within a round, targets, and the Markdown of a table."""

from __future__ import annotations

from functools import partial

import pytest
from click.testing import CliRunner

from scripts.bench.__main__ import CASES, bench
from scripts.bench.tables import Row, Table, Target
from scripts.bench.timing import interleaved, row


def test_a_ratio_compares_one_unit_of_one_round() -> None:
    slow, fast = [(8.0, 4.0), (80.0, 4.0), (8.0, 4.0)], [(1.0, 1.0), (10.0, 1.0), (1.0, 1.0)]
    summary = row(slow, fast, 4, 1)
    assert summary.ratio == (2.0, 2.0, 2.0)
    assert summary.seconds == (2.0, 2.0, 20.0)
    assert summary.processor == 1.0
    uneven = row([(4.0, 4.0), (40.0, 4.0), (40.0, 4.0)], slow, 4, 4), row(fast, slow, 1, 4)
    assert uneven[0].over(uneven[1]) == 1.0  # the ratio of the medians is 10


def test_works_take_turns_in_changing_order() -> None:
    order: list[str] = []
    rows = interleaved({name: partial(order.append, name) for name in "abc"}, 3)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"
    assert rows["a"].ratio == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("value", "verdict"), [(1.05, "met"), (1.054, "met"), (1.056, "**missed**")])
def test_a_target_is_met_to_two_digits(value: float, verdict: str) -> None:
    assert str(Target("a over b", value, 1.05)) == f"Target: a over b, {value:.2f}, at most 1.05: {verdict}"


def test_a_table_has_its_note_rows_and_targets() -> None:
    rows = {
        "plain": Row((1.0, 2.0, 3.0), 1.5, (1.0, 1.0, 1.0), rounds=(1.0, 2.0, 3.0)),
        "ours": Row((0.5, 1.0, 1.5), 0.7, (0.4, 0.5, 0.6), {"clips": 234, "note": "a | b"}, (0.5, 1.0, 1.5)),
    }
    lines = Table("tiny: maps", "Seconds.", rows, (Target("ours over plain", 0.5, 0.75),)).lines()
    assert lines[:4] == ["## tiny: maps", "", "Seconds. Rounds: 3.", ""]
    assert lines[4] == "|  | seconds | processor seconds | ratio | clips | note |"
    assert lines[6:8] == [
        "| plain | 2 | 1.5 | 1.00 (1.00–1.00) | – | – |",
        "| ours | 1 | 0.7 | 0.50 (0.40–0.60) | 234 | a \\| b |",
    ]
    assert lines[9] == "* Target: ours over plain, 0.50, at most 0.75: met"


def test_a_table_without_times_has_no_columns_for_them() -> None:
    assert Table("t", "Note.", {"a": Row(more={"gradcam": "1.0"})}).lines()[2:5] == ["Note.", "", "|  | gradcam |"]


@pytest.mark.slow
def test_a_case_prints_its_tables() -> None:
    result = CliRunner().invoke(bench, ["case", "forward", "--network", "tiny_r3d", "--runs", "2"])
    assert result.exit_code == 0, result.output
    assert "## tiny_r3d: forward pass" in result.stdout
    assert "Rounds: 2." in result.stdout


def test_every_case_has_rounds() -> None:
    assert all(runs > 0 for _, runs in CASES.values())
