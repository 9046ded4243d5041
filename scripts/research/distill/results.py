"""Results as lines of JSON: one run a line, written whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.research.distill.rows import ROWS
from scripts.research.distill.training import Setting

RUNS, PILOT = "runs.jsonl", "pilot.jsonl"

Run = dict[str, Any]
"""row, seed, clips, steps, error, agreement, energy and pointing of each method, terms of the loss, time."""


def read(path: Path) -> list[Run]:
    """Read the runs of a file that may not exist; a last line that was cut off is left out."""
    if not path.exists():
        return []
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append(path: Path, result: Run) -> None:
    """Add a run."""
    assert result["row"] in ROWS
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def is_done(runs: list[Run], row: str, seed: int, setting: Setting) -> bool:
    """Whether a run is among those that were made."""
    wanted = (row, seed, setting.clips, setting.steps)
    return any((run["row"], run["seed"], run["clips"], run["steps"]) == wanted for run in runs)
