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
    """Read the runs of a file that may not exist, each once; a line that was cut off is left out."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return list({_key(run): run for line in lines if (run := _parsed(line)) is not None}.values())


def _parsed(line: str) -> Run | None:
    try:
        run: Run = json.loads(line)
    except json.JSONDecodeError:
        return None
    return run


def append(path: Path, result: Run) -> None:
    """Add a run."""
    assert result["row"] in ROWS
    path.parent.mkdir(parents=True, exist_ok=True)
    is_cut = path.exists() and not path.read_text("utf-8").endswith("\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * is_cut + json.dumps(result) + "\n")


def is_done(runs: list[Run], row: str, seed: int, setting: Setting) -> bool:
    """Whether a run is among those that were made."""
    return (row, seed, setting.clips, setting.steps) in map(_key, runs)


def _key(run: Run) -> tuple[str, int, int, int]:
    return run["row"], run["seed"], run["clips"], run["steps"]
