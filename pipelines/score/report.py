"""Tables for the terminal, and the Markdown report of a scoring run.

Everything is made from the summary, so that a report can be written again without the clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vidcam.metrics.time_audit import CHANGES
from vidcam.pipelines.score.conclusions import accuracy_text, headline, notes, ranking_rows, verdict, windows_text
from vidcam.pipelines.score.numbers import factor, interval, number, p_cell, ratio
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.sanity_figures import Sanity
from vidcam.pipelines.score.settings import Provenance
from vidcam.pipelines.score.summary import GridResult, Mean, Pair, Summary, TimeFigures
from vidcam.system.filenames import markdown_text, one_line

_MOST_FAILURES = 20

_READING = (
    "## How to read this\n\n"
    "* Drop, increase, wins and relative performance (GC++ 4.1, EQ 16–17) depend on how much of the clip a map shows: "
    "`uniform` hides nothing and has drop 0. They do not say which method is better.\n"
    "* Retention at θ (GC++ 7.2) hides the same share of voxels for every method. The test of each pair compares what "
    "is kept at equal area: the mean over θ of log(O_a/O_b).\n"
    '* "Peaks in artifact" counts maps whose maximum lies in a cell that is high on any clip, even a flat grey one. '
    "Do not read a place off such a peak.\n"
    "* The controls know nothing of the network. `random` is the first method's map with its cells shuffled. `centre` "
    "is a bump in the middle of every frame. `frame-difference` is how much each pixel changes. `uniform` is 1 "
    "everywhere: at equal area it keeps random patches.\n"
    "* All results are for {where} with fill {fill}. Another fill can change the "
    "order of the methods."
)


def method_rows(summary: Summary) -> list[dict[str, str]]:
    """Return one row per method: the measures of the papers' tables, and the area of the maps."""
    rows = []
    for name, figures in summary.methods.items():
        row = {
            "method": name,
            "drop %": interval(figures.average_drop),
            "increase %": interval(figures.increase),
            "area": number(figures.area.value, 2),
            "empty": str(figures.empty),
        }
        thetas = [theta for theta in ("0.25", "0.5", "0.75") if theta in figures.retention]
        row |= {f"retention % at θ={theta}": interval(figures.retention[theta]) for theta in thetas}
        rows.append(row if figures.artifact is None else row | {"peaks in artifact": str(figures.artifact)})
    return rows


def curve_rows(summary: Summary) -> list[dict[str, str]]:
    """Return one row per method with the areas under its curves; no rows if they were not measured."""
    rows = []
    for name, figures in summary.methods.items():
        means = {
            "retention AUC %": figures.retention_auc,
            "insertion": figures.insertion,
            "deletion": figures.deletion,
            "insertion, frames": figures.frame_insertion,
            "deletion, frames": figures.frame_deletion,
        }
        rows += [_mean_row(name, means, n=summary.n)] if any(means.values()) else []
    return rows


def place_rows(summary: Summary) -> list[dict[str, str]]:
    """Return one row per method with its localization on the clips that have boxes; no rows without such clips."""
    if not any(figures.n_with_boxes for figures in summary.methods.values()):
        return []
    rows = []
    for name, figures in summary.methods.items():
        means = {"pointing %": figures.pointing, "energy inside": figures.energy, "temporal IoU": figures.temporal_iou}
        means |= {f"Loc({delta})": mean for delta, mean in figures.localization.items()}
        rows.append(_mean_row(name, means, n=figures.n_with_boxes) | {"n": str(figures.n_with_boxes)})
    return rows


def _mean_row(method: str, means: Mapping[str, Mean | None], *, n: int | None = None) -> dict[str, str]:
    """Return a row with the means that were measured; a mean over another number of clips than n says so."""
    known = {title: mean for title, mean in means.items() if mean is not None and mean.n}
    return {"method": method} | {title: interval(mean, 2, n=n) for title, mean in known.items()}


def grid_text(grid: GridResult) -> str:
    """Return the table of the grid pointing game, and sentences that say what it means."""
    clips = f"{grid.candidates} clips have their label as top class with a probability of at least 0.5"
    failed = [f"* {markdown_text(f'{p.first} and {p.second}: {p.reason}')}" for p in grid.failed[:_MOST_FAILURES]]
    failures = [f"{len(grid.failed)} pairs could not be played:\n\n" + "\n".join(failed)] * bool(failed)
    if not grid.methods:
        return "\n\n".join([f"Not played: {clips}; it needs two of different classes.", *failures])
    meaning = (
        "Two clips of different classes are put into one input, side by side (space) or one after another (time), and "
        "each class is explained. The share is that of the map in the half of its class: 1 points at the class, 0.5 "
        f"knows nothing of it. Means over {grid.pairs} pairs; {clips}."
    )
    if grid.shrunk:
        meaning += f" The network has a fixed size: the clips were shrunk into one input ({' and '.join(grid.shrunk)})."
    rows = []
    for name, figures in grid.methods.items():
        means = {
            "space: share": figures.space,
            "space: on the right side": figures.space_right_side,
            "time: share": figures.time,
            "time: on the right side": figures.time_right_side,
        }
        rows.append(_mean_row(name, means))
    return "\n\n".join([meaning, table(rows), *failures])


def equal_area_rows(summary: Summary) -> list[dict[str, str]]:
    """Return one row per pair with what a keeps over what b keeps at equal area; no rows if it was not measured."""
    return [
        {
            "a": pair.a,
            "b": pair.b,
            "kept, a : b": factor(equal_area.log_ratio),
            **{f"at θ={theta}": factor(mean) for theta, mean in equal_area.by_theta.items()},
            "p (Holm)": p_cell(equal_area.p_holm),
        }
        for pair in summary.pairs
        if (equal_area := pair.equal_area) is not None
    ]


def pair_rows(summary: Summary) -> list[dict[str, str]]:
    """Return one row per pair of methods with the papers' measures, whose areas differ."""
    return [
        {
            "a": pair.a,
            "b": pair.b,
            "win % a": number(pair.win_a),
            "win % b": number(pair.win_b),
            "ties %": number(pair.ties),
            "relative performance": _relative(pair),
            "std of log ratio": number(pair.log_std, 2),
            "post-softmax": number(None if pair.post_softmax is None else pair.post_softmax.relative_performance, 2),
        }
        for pair in summary.pairs
    ]


def _relative(pair: Pair) -> str:
    """Format the relative performance and its interval."""
    value, low, high = pair.relative_performance, pair.relative_performance_low, pair.relative_performance_high
    if value is None:
        return "–"
    return ratio(value) if low is None or high is None else ratio(value, low, high)


def report(summary: Summary, pictures: Mapping[str, str]) -> str:
    """Return the Markdown report.

    Args:
        summary: the content of summary.json.
        pictures: file name → caption; the files lie beside the report.
    """
    *others, last = [name for name in summary.methods if name not in CONTROLS]
    parts = [
        f"# Faithfulness of {', '.join(others)}{' and ' * bool(others)}{last} on {_safe(str(summary.settings.model))}",
        _concluded(summary),
        _setting(summary),
        *_sections(summary),
        *(f"![{caption}]({name})\n\n{caption}" for name, caption in pictures.items()),
        *_failures(summary),
        _READING.format(where=markdown_text(summary.settings.where), fill=summary.settings.fill),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _concluded(summary: Summary) -> str:
    """Return the ranking in words, and how far it goes."""
    rows = ranking_rows(summary)
    parts = [_safe(headline(summary)), table(rows) if rows else "", accuracy_text(summary)]
    return "\n\n".join(filter(None, [*parts, *notes(summary)]))


def _setting(summary: Summary) -> str:
    accuracy, settings = summary.accuracy, summary.settings
    lines = {
        "model": f"{settings.model}; weights: {settings.weights}",
        "layer": " + ".join(settings.layer),
        "fill": f"{settings.fill} (what hidden pixels become)",
        "clips": f"n = {summary.n} scored of {summary.clips}; {summary.failed} failed, {summary.left_out} "
        f"left out; {summary.groups} groups",
        "class": f"the label, among the {settings.label_in_top} most probable classes"
        if settings.label_in_top
        else "the predicted one",
        "accuracy": "no clip has a label that the model knows"
        if accuracy.value is None
        else f"{accuracy.value:.1%} of the {accuracy.known} clips whose label the model knows"
        + ("" if accuracy.top5 is None else f"; among the top five: {accuracy.top5:.1%}"),
        "windows": windows_text(summary),
        "intervals": summary.interval,
        "test": summary.test,
        "seed, batch size": f"{settings.seed}, {settings.batch_size}",
        "versions": _versions(settings.provenance),
        "command": f"`{summary.command}`" if summary.command else "from Python",
    }
    return table([{"": name, "value": value} for name, value in lines.items()])


def _versions(provenance: Sequence[Provenance]) -> str:
    """List the versions and the device; if they changed during the run, say from which clip on."""
    texts = [
        ", ".join(f"{name} {version}" for name, version in entry.versions.items()) + f"; {entry.device}"
        for entry in provenance
    ]
    if len(texts) == 1:
        return texts[0]
    parts = [f"from clip {entry.from_clip} on: {text}" for entry, text in zip(provenance, texts, strict=True)]
    return ". ".join(parts) + ". **Not all clips were scored with the same versions: last digits may differ.**"


def _sections(summary: Summary) -> Iterator[str]:
    yield "## Methods and controls\n\n" + table(method_rows(summary))
    if rows := curve_rows(summary):
        yield "## Areas under curves\n\n" + table(rows)
    if rows := place_rows(summary):
        yield "## Localization\n\n" + table(rows)
    if summary.grid:
        yield "## Grid pointing game\n\n" + grid_text(summary.grid)
    if rows := equal_area_rows(summary):
        lines = [f"* {_safe(verdict(pair))}" for pair in summary.pairs]
        yield "## Which method keeps more at equal area?\n\n" + table(rows) + "\n\n" + "\n".join(lines)
    if rows := pair_rows(summary):
        lacks = "" if summary.pairs[0].equal_area else " Which one is better needs the measure retention."
        note = f"The areas of the maps differ here, and a map that shows more keeps more.{lacks}"
        yield f"## Pairs by the papers' measures\n\n{note}\n\n{table(rows)}"
    if summary.time:
        yield "## Does the model use motion?\n\n" + _time(summary.time)
    if summary.fills:
        yield "## Fills: what is kept at half area, %\n\n" + _fills(summary)
    if summary.sanity:
        yield "## Sanity checks\n\n" + sanity_text(summary.sanity)
    if summary.worst:
        lines = [f"{place}. {line}" for place, line in enumerate(summary.worst, start=1)]
        yield "## Worst clips, by mean drop over the methods\n\n" + "\n".join(lines)


def _fills(summary: Summary) -> str:
    rows = [
        {"method": name} | {fill: interval(mean) for fill, mean in figures.kept_by_fill.items()}
        for name, figures in summary.methods.items()
    ]
    known = [(pair, pair.tau) for pair in summary.fills if pair.tau is not None]
    if not known:
        return table(rows)
    least, tau = min(known, key=lambda entry: entry[1])
    return (
        f"{table(rows)}\n\nKendall's τ between the orders of the methods is lowest for {least.a} and {least.b}: "
        f"{tau:.2f}. With 1 for all pairs, the order does not depend on the fill."
    )


def _time(time: TimeFigures) -> str:
    first = {"frames": "unchanged", "mean probability": interval(time.probability["original"], 3), "remaining %": ""}
    rows = [
        {
            "frames": change,
            "mean probability": interval(time.probability[change], 3),
            "remaining %": interval(time.remaining_percent[change]),
        }
        for change in CHANGES
    ]
    return table([first, *rows])


def sanity_text(sanity: Sanity) -> str:
    """Return a table of the similarity to maps of randomised weights, from the last layer to the first."""
    if not sanity.layers:
        return "The model has no weights to randomise."
    rows = []
    for scheme, methods in (("cascading", sanity.cascading), ("independent", sanity.independent)):
        for method, figures in methods.items():
            cells = zip(sanity.layers, figures.correlation, figures.ssim, figures.empty, strict=True)
            for layer, correlation, ssim, empty in cells:
                rows.append(
                    {
                        "scheme": scheme,
                        "method": method,
                        "layer": layer,
                        "rank correlation": number(correlation, 2),
                        "SSIM": number(ssim, 2),
                        "empty": str(empty),
                    }
                )
    note = f"Means over {len(sanity.clips)} clips. A value of 1 means that the map does not depend on these weights."
    return f"{note}\n\n{table(rows)}"


def _failures(summary: Summary) -> Iterator[str]:
    failures = summary.failures
    if failures:
        lines = [f"* {markdown_text(f'{each.path}: {each.reason}')}" for each in failures[:_MOST_FAILURES]]
        more = len(failures) - _MOST_FAILURES
        yield "## Clips that failed\n\n" + "\n".join(lines + [f"* and {more} more, see scores.csv"] * (more > 0))


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Format rows as a Markdown table; a cell that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([_safe(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _safe(text: str) -> str:
    r"""Put text on one line without HTML; intervals in brackets and our own emphasis stay readable."""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
