"""`benchmarks/RESULTS.md` and the plot, from `results.json`: nothing in them is written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.markdown import table

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
    cases = {name: document["cases"][name] for name in order if name in document["cases"]}
    lines = [*_head(document, cases), *_targets(cases)]
    for name, case in cases.items():
        if name == "scaling":
            lines += _scaling(case["tables"])
        else:
            lines += [line for table in case["tables"] for line in table_lines(table, name)]
    lines += ["## Not measured", "", f"* signal-grad-cam: {NOT_MEASURED['signal-grad-cam']}."]
    if not document["machine"]["gpu"]:
        lines.append(f"* CUDA: {NOT_MEASURED['cuda']}.")
    lines += [f"* {name}: not run yet." for name in order if name not in cases]
    return "\n".join(lines) + "\n"


def _head(document: Mapping[str, Any], cases: Mapping[str, Any]) -> list[str]:
    machine, versions = document["machine"], document["versions"]
    minutes = sum(case["seconds"] for case in cases.values()) / 60
    busy = max((case["load_before"] for case in cases.values()), default=0.0)
    load = (
        f"Before a case there was a load up to {busy:g}, what the case before had left included; where that is other "
        f"work, ratios are worth more than seconds."
    )
    given_back = [name for name, case in cases.items() if not case.get("keeps_freed_memory")]
    machine_line = (
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python {machine['python']}, "
        f"GPU: {machine['gpu'] or 'none'}. The cases took {minutes:.0f} min."
    )
    rounds = (
        "Works of one table take turns, round after round in another order. Seconds are medians; ratios are to the "
        "first row in the same round, median (quartiles; least and largest of fewer than four rounds)."
    )
    return [
        "# Results",
        "",
        "Written by `scripts/run bench results` in its own environment of pinned tools; figures in `results.json`.",
        "",
        machine_line,
        *([load] if busy > machine["cores"] else []),
        "",
        f"Versions: {', '.join(f'{name} {number}' for name, number in versions.items())}.",
        "",
        "The C library keeps freed memory for all tools alike, as it does for vidcam's command line (`docs/speed.md`)"
        + (f"; not in the cases {', '.join(given_back)}." if given_back else "."),
        "",
        rounds,
        "",
    ]


def _targets(cases: Mapping[str, Any]) -> list[str]:
    found = [one for name, case in cases.items() if name != "scaling" for one in case["tables"]]
    rows = []
    for target in (target for one in found for target in one["targets"]):
        kind = "measured" if target.get("is_shown") else "supposed reason"
        verdict = "met" if target["met"] else f"**missed**{f'; {kind}: ' + target['why'] if target['why'] else ''}"
        rows.append((target["name"], f"{target['limit']:.2f}", f"{target['value']:.2f}", verdict))
    return ["## Targets", "", *table(("target", "limit", "measured", ""), rows), ""]


def table_lines(case: Mapping[str, Any], name: str = "") -> list[str]:
    """A table's document with its title; `name` is the case's, to run it again."""
    rounds = f" {case['runs']} round{'s' * (case['runs'] != 1)}." if case["runs"] else ""
    again = f" `--only {name}`" if name else ""
    return [f"## {case['title']}", "", f"{case['note']}{rounds}{again}", "", *_rows(case["rows"]), ""]


def _rows(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    has_seconds = any(row["seconds"][1] for row in rows.values())
    has_ratio = any(row["ratio"][1] for row in rows.values())
    more = list(dict.fromkeys(name for row in rows.values() for name in row["more"]))
    found = []
    for name, row in rows.items():
        processor = _number(row["processor"]) if row["processor"] else "–"
        cells = [_number(row["seconds"][1]), processor] if has_seconds else []
        low, median, high = row["ratio"]
        cells += [f"{median:.2f} ({low:.2f}–{high:.2f})"] if has_ratio else []
        found.append([name, *cells, *(_told(row["more"].get(column)) for column in more)])
    times = [*(["seconds", "processor seconds"] if has_seconds else []), *(["ratio"] if has_ratio else [])]
    return table(["", *times, *more], found)


def _told(value: float | str | None) -> str:
    """A correlation with all its digits, which tell of it."""
    if value is None or isinstance(value, str):
        return value or "–"
    is_correlation = 0.5 < abs(value) <= 1 and not isinstance(value, int)
    return f"{value:.6f}" if is_correlation else _number(value)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _scaling(axes: Mapping[str, Any]) -> list[str]:
    rows = []
    for one in axes.values():
        points = ", ".join(f"{x:g}: {_number(y)} s" for x, y in zip(one["x"], one["y"], strict=True))
        rows.append((one["x_label"], one["what"], points))
    lines = ["## Scaling", "", "![cost against clips, methods, classes, length and pixels](scaling.png)", ""]
    return [*lines, *table(("", "what", "cost"), rows), ""]


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
