"""Read a scored set again: the summary and the rows that `score` wrote into its folder."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.pipelines.score.columns import SCORED
from vidcam.pipelines.score.filters import Cells
from vidcam.pipelines.score.summary import Summary
from vidcam.system.filenames import as_text, relative_path, text_of_csv
from vidcam.system.json_files import read_json, write_json

Clip = tuple[str, int]
"""Path of a clip, and how many clips before it have this path."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """A finished run.

    Attributes:
        folder: where it lies.
        summary: the content of summary.json.
        columns: columns of scores.csv.
        rows: clip → its rows; clips in the set's order.
    """

    folder: Path
    summary: Summary
    columns: tuple[str, ...]
    rows: dict[Clip, list[Cells]] = field(repr=False)

    @property
    def scored(self) -> list[Clip]:
        """The clips that were scored."""
        return [clip for clip, rows in self.rows.items() if rows[0]["status"] == SCORED]

    def values(self, clips: list[Clip], method: str, column: str) -> NDArray[np.float64]:
        """Return a column of numbers or flags for some scored clips, (N,); NaN for an empty cell."""
        index = [row["method"] for row in self.rows[clips[0]]].index(method) if clips else 0
        cells = (self.rows[clip][index].get(column, "") for clip in clips)
        return np.array([_FLAGS[cell] if cell in _FLAGS else float(cell) for cell in cells], np.float64)


@dataclass(frozen=True, slots=True)
class SetPath:
    """The manifest or folder of a run, relative to the folder of its results."""

    clips: str


_SET_FILE = "set.json"

_FLAGS = {"": np.nan, "true": 1.0, "false": 0.0}


def read_scored_set(folder: Path) -> ScoredSet:
    """Read the results of a run.

    Raises:
        InputError: the folder has none, or they are damaged.
    """
    try:
        summary = read_json(folder / "summary.json", Summary)
        with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns = tuple(reader.fieldnames or ())
            rows = [{name: text_of_csv(cell) for name, cell in row.items()} for row in reader]
    except FileNotFoundError as exc:
        raise InputError(f"{folder} is no scored set: {Path(str(exc.filename)).name} is missing") from exc
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as exc:
        raise InputError(f"{folder} cannot be read as a scored set ({first_line(exc)}); score it again") from exc
    if not {"clip", "path", "method", "status"} <= set(columns):
        raise InputError(f"{folder}/scores.csv is no table of vidcam score; score it again")
    clips: dict[str, Clip] = {}
    seen: Counter[str] = Counter()
    by_clip: dict[Clip, list[Cells]] = {}
    for row in rows:
        if row["clip"] not in clips:
            clips[row["clip"]] = (row["path"], seen[row["path"]])
            seen[row["path"]] += 1
        by_clip.setdefault(clips[row["clip"]], []).append(row)
    return ScoredSet(folder, summary, columns, by_clip)


def write_set_path(out: Path, clips: object) -> None:
    """Write where the set of a run is, for `vidcam render`; nothing for clips from Python."""
    if isinstance(clips, str | Path):
        write_json(out / "scores" / _SET_FILE, SetPath(as_text(relative_path(Path(clips), out))))


def former_set(out: Path) -> Path:
    """Return where the set of a run is.

    Raises:
        InputError: it is not known, or not there.
    """
    try:
        clips = (out / read_json(out / "scores" / _SET_FILE, SetPath).clips).resolve()
    except FileNotFoundError as exc:
        raise InputError(f"{out} does not say where its clips are; pass the set with --clips") from exc
    if not clips.exists():
        raise InputError(f"the set {clips} is not there any more; pass it with --clips")
    return clips
