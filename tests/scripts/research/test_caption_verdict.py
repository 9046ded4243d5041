"""The verdict on captions, measured on a real clip."""

from __future__ import annotations

from click.testing import CliRunner

from scripts.research import caption_verdict as script
from scripts.research.captions import METHODS


def test_a_clip_is_measured() -> None:
    rows = script.measured(5)
    assert [row["map"] for row in rows] == list(METHODS)
    assert all(0.0 <= row["points"] <= 1.0 and row["checks"]["peak"] > 0.0 for row in rows)
    assert {row["checks"]["kept_centre"] for row in rows} == {rows[0]["checks"]["kept_centre"]}


def test_the_tables_are_printed() -> None:
    output = CliRunner().invoke(script.caption_verdict, ["--clips", "2"], catch_exceptions=False).output
    assert [
        line.split(" | ")[0] for line in output.splitlines() if line.startswith(("| check", "| map", "| network"))
    ] == [
        "| check",
        "| map",
        "| network",
    ]
