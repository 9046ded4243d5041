"""`benchmarks/RESULTS.md` and the plot, from `results.json`: nothing in them is written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NOT_MEASURED = {
    "cuda": "not measured: no GPU",
    "signal-grad-cam": (
        "2.2.0 is in no table: it imports TensorFlow, and the process aborts where tensorflow-cpu 2.20.0 meets the "
        "triton of torch 2.15.0 (`LLVM ERROR: inconsistency in registered CommandLine options`). With triton hidden "
        "from torch and numpy 2.2.6 it takes a 3-D network, but no layer that is not a convolution: at r3d_18's "
        "`layer4` it raises `ValueError: … must be a 1D, 2D, or 3D convolutional layer`. At `layer4.1.conv2.0` its "
        "gradcam correlates with one derived in float64 by 0.999994 and takes 3.3 times the processor time of a "
        "forward pass, 8 times with the pictures that `get_cam` always draws (one trial, busy machine)"
    ),
}


def results_markdown(document: Mapping[str, Any], order: Sequence[str]) -> str:
    """The whole file."""
    cases = [(name, document["cases"][name]) for name in order if name in document["cases"]]
    lines = [*_head(document, cases), *_targets(cases)]
    for name, case in cases:
        lines += _scaling(case) if name == "scaling" else _case(name, case)
    lines += ["## Not measured", "", f"* signal-grad-cam: {NOT_MEASURED['signal-grad-cam']}."]
    if not document["machine"]["gpu"]:
        lines.append(f"* CUDA: {NOT_MEASURED['cuda']}.")
    missing = [name for name in order if name not in document["cases"]]
    lines += [f"* {name}: not run yet." for name in missing]
    return "\n".join(lines) + "\n"


def _head(document: Mapping[str, Any], cases: Sequence[tuple[str, Any]]) -> list[str]:
    machine, versions = document["machine"], document["versions"]
    minutes = sum(case["seconds"] for _, case in cases) / 60
    busy = max((case["load_before"] for _, case in cases), default=0.0)
    lines = [
        "# Results",
        "",
        (
            "Written by `scripts/benchmark results`, which makes its own environment of pinned tools; figures in "
            "`results.json`."
        ),
        "",
        (
            f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
            f"Python {machine['python']}, GPU: {machine['gpu'] or 'none'}. The cases took {minutes:.0f} min."
        ),
    ]
    if busy > machine["cores"]:
        lines.append(
            f"Before a case there was a load up to {busy:g}, what the case before had left included; where that is "
            f"other work, ratios are worth more than seconds."
        )
    lines += ["", "Versions: " + ", ".join(f"{name} {number}" for name, number in versions.items()) + ".", ""]
    given_back = [name for name, case in cases if not case.get("keeps_freed_memory")]
    lines += [
        (
            "The C library keeps freed memory for all tools alike, as it does for vidcam's command line "
            "(`docs/speed.md`)" + (f"; not in the cases {', '.join(given_back)}." if given_back else ".")
        ),
        "",
        (
            "Works of one table take turns, round after round in another order. Seconds are medians; ratios are to the "
            "first row in the same round, median (quartiles; least and largest of fewer than four rounds)."
        ),
        "",
    ]
    return lines


def _targets(cases: Sequence[tuple[str, Any]]) -> list[str]:
    found = [
        target
        for _, case in cases
        if isinstance(case["tables"], list)
        for table in case["tables"]
        for target in table["targets"]
    ]
    lines = ["## Targets", "", "| target | limit | measured | |", "| --- | --- | --- | --- |"]
    for target in found:
        kind = "measured" if target.get("is_shown") else "supposed reason"
        verdict = "met" if target["met"] else f"**missed**{f'; {kind}: ' + target['why'] if target['why'] else ''}"
        lines.append(f"| {target['name']} | {target['limit']:.2f} | {target['value']:.2f} | {verdict} |")
    return [*lines, ""]


def _case(name: str, case: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for table in case["tables"]:
        lines += [f"## {table['title']}", ""]
        rounds = f" {table['runs']} round{'s' * (table['runs'] != 1)}." if table["runs"] else ""
        lines += [f"{table['note']}{rounds} `--only {name}`", "", *_rows(table["rows"]), ""]
    return lines


def _rows(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    has_seconds = any(row["seconds"][1] for row in rows.values())
    has_ratio = any(row["ratio"][1] for row in rows.values())
    more = list(dict.fromkeys(name for row in rows.values() for name in row["more"]))
    columns = [*(["seconds", "processor seconds"] if has_seconds else []), *(["ratio"] if has_ratio else []), *more]
    lines = [f"| | {' | '.join(columns)} |", "| --- " * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_number(row["seconds"][1]), _number(row["processor"])] if has_seconds else []
        low, median, high = row["ratio"]
        cells += [f"{median:.2f} ({low:.2f}–{high:.2f})"] if has_ratio else []
        cells += [_told(row["more"].get(column)) for column in more]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _told(value: float | str | None) -> str:
    """A correlation with all its digits, which tell of it."""
    if value is None or isinstance(value, str):
        return value or "–"
    is_correlation = 0.5 < abs(value) <= 1 and not isinstance(value, int)
    return f"{value:.6f}" if is_correlation else _number(value)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _scaling(case: Mapping[str, Any]) -> list[str]:
    lines = ["## Scaling", "", "![cost against clips, methods, classes, length and pixels](scaling.png)", ""]
    lines += ["| | " + "what | cost |", "| --- | --- | --- |"]
    for series in case["tables"].values():
        points = ", ".join(f"{x:g}: {_number(y)} s" for x, y in zip(series["x"], series["y"], strict=True))
        lines.append(f"| {series['x_label']} | {series['what']} | {points} |")
    return [*lines, ""]


def draw_scaling(series: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """One row of small plots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 2.6), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, one in zip(figure.subplots(1, len(series)), series.values(), strict=True):
        axes.plot(one["x"], one["y"], marker="o", markersize=3, linewidth=1)
        axes.set(xlabel=one["x_label"], ylim=(0, None), xlim=(0, None))
        axes.set_title(one["what"], fontsize=6.5)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("seconds")
    figure.savefig(path)
