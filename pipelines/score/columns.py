"""The columns of scores.csv and of the Parquet parts: names, types and order.

Each clip has one row per method and control. A clip that failed or was left out has one row without a method. An
undefined value is empty, never NaN.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from vidcam.fill import SCORE_FILLS
from vidcam.metrics.localization import DELTAS
from vidcam.metrics.retention import DEFAULT_THETAS, GRID_THETAS
from vidcam.metrics.time_audit import CHANGES
from vidcam.system.atomic import atomic_write
from vidcam.system.filenames import csv_text

Kind = Literal["text", "number", "whole", "flag"]
Columns = Mapping[str, Kind]

Row = dict[str, Any]
"""One row of the table: column → value; a missing column is empty."""

SCORED, FAILED, LEFT_OUT = "scored", "failed", "left out"

_CLIP: Columns = {
    "clip": "whole",
    "path": "text",
    "start": "number",
    "group": "text",
    "label": "text",
    "class": "text",
    "correct": "flag",
    "correct_top5": "flag",
    "windows": "whole",
    "probability": "number",
    "method": "text",
    "status": "text",
    "reason": "text",
    "warnings": "text",
    "batch_size": "whole",
}
INTERNAL_COLUMNS: Columns = {"content_hash": "text"}
"""Columns of the parts that are not in the CSV. The hash shows whether a file has changed since it was scored."""
_MAP: Columns = {
    "area": "number",
    "empty": "flag",
    "artifact": "flag",
    "log_probability": "number",
    "log_masked_probability": "number",
    "masked_probability": "number",
    "drop": "number",
    "increase": "flag",
    "completeness": "number",
    "noise": "number",
}
_ALPHA: Columns = {
    **{f"alpha_{name}": "number" for name in ("min", "q1", "median", "q3", "max")},
    "alpha_all_min": "number",
    "alpha_all_max": "number",
    "product_q1": "number",
    "product_q3": "number",
    "correlation_with_gradcam_plus": "number",
}
AREAS = ("insertion", "deletion", "frame_insertion", "frame_deletion")


def thetas_of(measures: Sequence[str]) -> tuple[float, ...]:
    """Return every θ that the measures need, increasing."""
    thetas = {*(DEFAULT_THETAS if "retention" in measures else ())}
    return tuple(sorted(thetas | {*(GRID_THETAS if "curve" in measures else ())}))


def score_columns(measures: Sequence[str], thetas: Sequence[float], *, label_in_top: int = 0) -> Columns:
    """Return the columns that these measures fill, in order; `predicted` is the class if labels are not explained."""
    thetas_in_names = [f"{theta:g}" for theta in thetas if 0.0 < theta < 1.0]
    optional: dict[str, Columns] = {
        "relative": {"log_masked_post_softmax": "number", "empty_post_softmax": "flag"},
        "retention": {
            **{f"retention_{theta}": "number" for theta in thetas_in_names},
            **{f"tied_{theta}": "number" for theta in thetas_in_names},
        },
        "curve": {"retention_1": "number", "retention_auc": "number"},
        "insertion-deletion": dict.fromkeys(AREAS, "number"),
        "localization": {
            **{f"loc_{delta:g}": "number" for delta in DELTAS},
            **dict.fromkeys(("pointing", "energy", "temporal_iou"), "number"),
        },
        "time": {**{f"probability_{change}": "number" for change in CHANGES}, "evidence": "text"},
        "fills": {f"kept_{fill}": "number" for fill in SCORE_FILLS},
    }
    if "curve" in measures and "retention" not in measures:
        optional["curve"] = {**optional["retention"], **optional["curve"]}
    columns: dict[str, Kind] = {**_CLIP, **({"predicted": "text"} if label_in_top else {}), **_MAP}
    for measure in measures:
        columns |= optional.get(measure, {})
    return {**columns, **_ALPHA}


def as_cell(value: Any) -> str:
    """Format a value for the CSV: numbers with nine digits, flags as true or false, None as an empty cell.

    Text that a spreadsheet would compute gets an apostrophe, see `csv_text`.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.9g}"
    return csv_text(value) if isinstance(value, str) else str(value)


def write_csv(path: Path, columns: Columns, rows: Iterable[Row]) -> None:
    """Write scores.csv."""
    with atomic_write(path, sync=True) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([as_cell(row[name]) for name in columns] for row in rows)
