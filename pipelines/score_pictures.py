"""Which plots a run gets, and the numbers that go into each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vidcam.pipelines.score_options import CONTROLS
from vidcam.pipelines.score_summary import pair_names
from vidcam.pipelines.score_table import ScoreTable
from vidcam.pipelines.whole_files import written_whole
from vidcam.render.score_plots import (
    Array,
    plot_alpha,
    plot_classes,
    plot_evidence,
    plot_relative,
    plot_retention,
    plot_sanity,
)

_ALPHA = {"minimum": "min", "lower quartile": "q1", "median": "median", "upper quartile": "q3", "maximum": "max"}


def draw_plots(out: Path, table: ScoreTable, summary: Mapping[str, Any], thetas: tuple[float, ...]) -> dict[str, str]:
    """Draw what was measured; file name → caption."""
    if not table.n:
        return {}
    where = f"{summary['model']}, {summary['layer']}, fill {summary['fill']}, n = {table.n}"
    made: dict[str, str] = {}
    if thetas:
        made["retention.png"] = "Confidence against hidden area (GC++ fig. 10)"
        with written_whole(out / "retention.png") as path:
            plot_retention(path, _curves(summary), title=f"What is left of the probability: {where}")
    if pairs := _ratios(table):
        made["relative.png"] = "Relative performance of each clip (EQ fig. 6)"
        with written_whole(out / "relative.png") as path:
            plot_relative(path, pairs, title=f"Relative performance: {where}")
    if "alpha" in summary["methods"].get("gradcam++", {}):
        made["alpha.png"] = "α of gradcam++: its five numbers in each clip, as boxes over the clips (EQ fig. 3–4)"
        numbers = {name: table.values("gradcam++", f"alpha_{column}") for name, column in _ALPHA.items()}
        with written_whole(out / "alpha.png") as path:
            plot_alpha(path, numbers, title=f"α of gradcam++: {where}")
    made["classes.png"] = "Average Drop of each explained class"
    with written_whole(out / "classes.png") as path:
        drops = {label: figures["average_drop"] for label, figures in summary["classes"].items()}
        counts = {label: figures["n"] for label, figures in summary["classes"].items()}
        plot_classes(path, drops, counts, title=f"Average Drop by class: {where}")
    if table.evidence:
        made["evidence.png"] = "When the evidence came: mean of the map in each frame"
        with written_whole(out / "evidence.png") as path:
            plot_evidence(path, table.evidence, title=f"Evidence over time: {where}")
    if summary.get("sanity") and summary["sanity"]["layers"]:
        made["sanity.png"] = "Rank correlation with the maps of randomised weights, cascading from the last layer down"
        found = {method: figures["correlation"] for method, figures in summary["sanity"]["cascading"].items()}
        with written_whole(out / "sanity.png") as path:
            plot_sanity(
                path,
                summary["sanity"]["layers"],
                found,
                title=f"Sanity check: {summary['model']}, {summary['layer']}, {len(summary['sanity']['clips'])} clips",
            )
    return made


def _curves(summary: Mapping[str, Any]) -> dict[str, tuple[Array, Array, Array, Array]]:
    curves = {}
    for method, figures in summary["methods"].items():
        found = figures["retention"]
        thetas = sorted(found, key=float)
        rows = [[found[theta][end] for theta in thetas] for end in ("value", "low", "high")]
        full = np.array([[float(theta) for theta in thetas], *rows], dtype=np.float64)
        whole = np.concatenate([np.array([[0.0], [100.0], [100.0], [100.0]]), full], axis=1)
        curves[method] = (whole[0], whole[1], whole[2], whole[3])
    return curves


def _ratios(table: ScoreTable) -> dict[str, Array]:
    """O_a / O_b of each pair of methods, and of the post-softmax maps where they were scored."""
    found = {}
    for a, b in pair_names(table.methods):
        if b in CONTROLS:
            continue
        for column, kind in (("log_masked", ""), ("log_masked_post", ", post-softmax")):
            if column in table.columns:
                found[f"{a} vs {b}{kind}"] = np.exp(table.values(a, column) - table.values(b, column))
    return found
