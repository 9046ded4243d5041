"""The summary of several videos is merged with that of earlier runs."""

from __future__ import annotations

import csv
from pathlib import Path

from vidcam.pipelines.explain.summary import SummaryRow, write_summary


def test_rows_of_earlier_runs_stay_as_they_are(tmp_path: Path) -> None:
    """Their apostrophes too, however often the file is written."""
    labels = ("=1+1", "'=1", "''-", "'a", "yoga")
    for label in labels:
        write_summary(tmp_path, [SummaryRow(label, label, "0.5", "", "", "", "", "", "")])
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["video"], row["label"]) for row in csv.DictReader(file)]
    assert rows == [(cell, cell) for cell in ("'=1+1", "''=1", "'''-", "'a", "yoga")]
