"""The calibration of the verdict on truth: a short run, and its tables again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts.research.verdict import verdict
from vidcam.results.verdict import CHECKS


@pytest.mark.slow
def test_a_short_run_and_its_tables_again(tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    runs = [
        CliRunner().invoke(verdict, options, catch_exceptions=False)
        for options in (["--clips", "2", "--out", str(out)], ["--from", str(out)])
    ]
    assert runs[0].stdout == runs[1].stdout
    rows = json.loads(out.read_text("utf-8"))
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row["network"], []).append(row["map"])
    assert all(each.count(name) == 2 for each in names.values() for name in each)
    assert set(names["tiny_r3d"]) - set(names["tiny_c3d"]) == {"cam"}
    assert {"gradcam", "neutral-gradcam-ig", "integrated-gradients", "frame difference"} <= set(names["tiny_c3d"])
    assert all(set(row["checks"]) <= set(CHECKS) for row in rows)
    assert [line for line in runs[0].stdout.splitlines() if line.startswith("## ")] == [
        "## AUC, truth: maximum in the box",
        "## AUC, truth: energy at least 3 times uniform",
        "## Within each map and network",
        "## Fitted on one network, tested on the other",
        "## Words",
    ]
