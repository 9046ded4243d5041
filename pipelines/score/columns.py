"""The columns of a table of scores: names, types and order, the same in every part, in the CSV and in the README.

One row for each clip and map; a clip that failed or was left out is one row without a method. What is undefined is
empty, never NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vidcam.metrics.localization import DELTAS
from vidcam.metrics.time_audit import CHANGES

Kind = Literal["text", "number", "whole", "flag"]
Columns = Mapping[str, Kind]

Row = dict[str, Any]
"""One row of the table: column → value; a column that is not there is empty."""

SCORED, FAILED, LEFT_OUT = "scored", "failed", "left out"

_CLIP: Columns = {
    "clip": "whole",
    "path": "text",
    "start": "number",
    "group": "text",
    "label": "text",
    "class": "text",
    "correct": "flag",
    "probability": "number",
    "method": "text",
    "status": "text",
    "reason": "text",
    "warnings": "text",
    "batch_size": "whole",
}
UNSEEN: Columns = {"content": "text"}
"""Kept in the parts and not in the CSV: what tells whether a file is still the one that was scored."""
_MAP: Columns = {
    "area": "number",
    "empty": "flag",
    "artifact": "flag",
    "log_probability": "number",
    "log_masked": "number",
    "masked_probability": "number",
    "drop": "number",
    "increase": "flag",
}
_ALPHA: Columns = {
    **{f"alpha_{name}": "number" for name in ("min", "q1", "median", "q3", "max")},
    "alpha_all_min": "number",
    "alpha_all_max": "number",
    "product_q1": "number",
    "product_q3": "number",
    "like_gradcam_plus": "number",
}
AREAS = ("insertion", "deletion", "frame_insertion", "frame_deletion")


def score_columns(measures: Sequence[str], thetas: Sequence[float]) -> Columns:
    """All columns that these measures fill, in order."""
    cuts = [f"{theta:g}" for theta in thetas if 0.0 < theta < 1.0]
    optional: dict[str, Columns] = {
        "relative": {"log_masked_post": "number", "empty_post": "flag"},
        "retention": {
            **{f"retention_{cut}": "number" for cut in cuts},
            **{f"tied_{cut}": "number" for cut in cuts},
        },
        "curve": {"retention_1": "number", "retention_area": "number"},
        "insertion-deletion": dict.fromkeys(AREAS, "number"),
        "localization": {
            **{f"loc_{delta:g}": "number" for delta in DELTAS},
            **dict.fromkeys(("pointing", "energy", "temporal_iou"), "number"),
        },
        "time": {**{f"probability_{change}": "number" for change in CHANGES}, "evidence": "text"},
    }
    if "curve" in measures and "retention" not in measures:
        optional["curve"] = {**optional["retention"], **optional["curve"]}
    chosen: dict[str, Kind] = {**_CLIP, **_MAP}
    for measure in measures:
        chosen |= optional.get(measure, {})
    return {**chosen, **_ALPHA}


def as_cell(value: Any) -> str:
    """A value as the CSV states it: numbers with nine digits, flags as true and false, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.9g}" if isinstance(value, float) else str(value)
