"""The figures for people: rows for the terminal, and a Markdown report that carries what a figure means without it.

Everything comes from the summary, so that a report can be written again without the clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vidcam.metrics.time_audit import CHANGES
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.settings import Provenance
from vidcam.pipelines.score.summary import Mean, Pair, Sanity, Summary, TimeFigures

_MOST_FAILURES = 20
_SURE = 0.05
_ALIKE = 1.05
"""Two methods whose relative performance lies within 5 % of 1, interval and all, are called practically alike."""

_READING = (
    "## How to read this\n\n"
    "* Drop and increase (GC++ 4.1) depend on how much a map shows: one that hides nothing has drop 0. Compare them at "
    "like area, and with `centre`, which knows nothing of the clip.\n"
    "* Kept at θ (GC++ 7.2) hides the same share of voxels for every method; it is the fairer figure.\n"
    "* In the artifact: maps whose maximum lies in a cell that is loud on any clip, a flat grey one too; such a map is "
    "wrong, however plausible it looks.\n"
    "* `random` is the first method's own map with its cells in another order.\n"
    "* All of it is about {summary.model} at {summary.layer} with the fill {summary.fill}; another fill can turn an "
    "order round."
)


def method_rows(summary: Summary) -> list[dict[str, str]]:
    """One row a method: what the papers' tables have, at equal area, and the area itself."""
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
        row |= {f"kept % at θ={theta}": interval(figures.retention[theta]) for theta in thetas}
        rows.append(row if figures.artifact is None else row | {"in the artifact": str(figures.artifact)})
    return rows


def curve_rows(summary: Summary) -> list[dict[str, str]]:
    """One row a method: areas under the curves; none where they were not measured."""
    rows = []
    for name, figures in summary.methods.items():
        means = {
            "retention %": figures.retention_area,
            "insertion": figures.insertion,
            "deletion": figures.deletion,
            "insertion, frames": figures.frame_insertion,
            "deletion, frames": figures.frame_deletion,
        }
        cells = {title: interval(mean, 2) for title, mean in means.items() if mean is not None}
        rows += [{"method": name, **cells}] if cells else []
    return rows


def place_rows(summary: Summary) -> list[dict[str, str]]:
    """One row a method: where and when, of the clips that have boxes; none without such clips."""
    if not any(figures.n_with_boxes for figures in summary.methods.values()):
        return []
    rows = []
    for name, figures in summary.methods.items():
        means = {"pointing %": figures.pointing, "energy inside": figures.energy, "temporal IoU": figures.temporal_iou}
        means |= {f"Loc({delta})": mean for delta, mean in figures.localization.items()}
        cells = {title: interval(mean, 2) for title, mean in means.items() if mean is not None}
        rows.append({"method": name, **cells, "n": str(figures.n_with_boxes)})
    return rows


def pair_rows(summary: Summary) -> list[dict[str, str]]:
    """One row a pair."""
    return [
        {
            "a": pair.a,
            "b": pair.b,
            "win % a": number(pair.win_a),
            "win % b": number(pair.win_b),
            "ties %": number(pair.ties),
            "relative performance": _relative(pair),
            "std of log": number(pair.log_std, 2),
            "post-softmax": number(None if pair.post is None else pair.post.relative_performance, 2),
            "p (Holm)": _p_value(pair.p_holm),
        }
        for pair in summary.pairs
    ]


def _relative(pair: Pair) -> str:
    """With three digits that count, for a ratio may be small: '1.21 [1.17, 1.25]'."""
    value, low, high = pair.relative_performance, pair.relative_performance_low, pair.relative_performance_high
    return "–" if value is None else f"{value:#.3g} [{low:#.3g}, {high:#.3g}]"


def verdict(pair: Pair) -> str:
    """What the test tells about a pair, as a sentence."""
    a, b, low, high = pair.a, pair.b, pair.relative_performance_low, pair.relative_performance_high
    if pair.p_holm is None or pair.log_mean is None or low is None or high is None:
        return f"Nothing can be told about {a} and {b}."
    evidence = f"relative performance of {a} against {b} {_relative(pair)}, {_p_value(pair.p_holm, equals=True)}"
    if low > 1 / _ALIKE and high < _ALIKE:
        return f"{a} and {b} are practically alike ({evidence})."
    if pair.p_holm >= _SURE:
        return f"No difference between {a} and {b} is shown ({evidence})."
    better, worse = (a, b) if pair.log_mean > 0 else (b, a)
    return f"{better} keeps more of the probability than {worse} ({evidence})."


def report(summary: Summary, pictures: Mapping[str, str]) -> str:
    """The Markdown document.

    Args:
        summary: as in summary.json.
        pictures: file name → caption, beside the report.
    """
    *others, last = [name for name in summary.methods if name not in CONTROLS]
    parts = [
        f"# Faithfulness of {', '.join(others)}{' and ' * bool(others)}{last} on {summary.model}",
        _setting(summary),
        *_sections(summary),
        *(f"![{caption}]({name})\n\n{caption}" for name, caption in pictures.items()),
        *_failures(summary),
        _READING.format(summary=summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _setting(summary: Summary) -> str:
    accuracy = summary.accuracy
    lines = {
        "model": f"{summary.model}; weights: {summary.weights}",
        "layer": summary.layer,
        "fill": f"{summary.fill} (what hidden pixels become)",
        "clips": f"n = {summary.n} scored of {summary.clips}; {summary.failed} failed, {summary.left_out} "
        f"left out; {summary.groups} groups",
        "top class is the label": "no label was given that the model knows"
        if accuracy.value is None
        else f"{accuracy.value:.1%} of {accuracy.known} clips whose label the model knows",
        "intervals": summary.interval,
        "test": summary.test,
        "seed, batch size": f"{summary.seed}, {summary.batch_size}",
        "versions": _versions(summary.made_with),
        "command": f"`{summary.command}`" if summary.command else "from Python",
    }
    return table([{"": name, "value": value} for name, value in lines.items()])


def _versions(made_with: Sequence[Provenance]) -> str:
    """What scored the clips; of several, from which clip on each did, and what that may mean."""
    texts = [
        ", ".join(f"{name} {version}" for name, version in made.versions.items()) + f"; {made.device}"
        for made in made_with
    ]
    if len(texts) == 1:
        return texts[0]
    parts = [f"from clip {made.from_clip} on: {text}" for made, text in zip(made_with, texts, strict=True)]
    return ". ".join(parts) + ". **Not all clips were scored by the same versions: last digits may differ.**"


def _sections(summary: Summary) -> Iterator[str]:
    yield "## Methods and controls\n\n" + table(method_rows(summary))
    if rows := curve_rows(summary):
        yield "## Areas under curves\n\n" + table(rows)
    if rows := place_rows(summary):
        yield "## Where and when\n\n" + table(rows)
    if summary.pairs:
        lines = [f"* {verdict(pair)}" for pair in summary.pairs]
        yield "## Pairs\n\n" + table(pair_rows(summary)) + "\n\n" + "\n".join(lines)
    if summary.time:
        yield "## Does the model use motion?\n\n" + _time(summary.time)
    if summary.sanity:
        yield "## Sanity checks\n\n" + sanity_text(summary.sanity)
    if summary.worst:
        lines = [f"{place}. {path}" for place, path in enumerate(summary.worst, start=1)]
        yield "## Worst clips, by mean drop over the methods\n\n" + "\n".join(lines)


def _time(time: TimeFigures) -> str:
    first = {"frames": "as they are", "mean probability": interval(time.probability["original"], 3), "left of it %": ""}
    rows = [
        {
            "frames": change,
            "mean probability": interval(time.probability[change], 3),
            "left of it %": interval(time.left_percent[change]),
        }
        for change in CHANGES
    ]
    return table([first, *rows])


def sanity_text(sanity: Sanity) -> str:
    """Correlation with the maps of randomised weights, from the last layer to the first."""
    if not sanity.layers:
        return "The model has no weights that could be drawn anew."
    rows = []
    for scheme, methods in (("cascading", sanity.cascading), ("independent", sanity.independent)):
        for method, figures in methods.items():
            cells = zip(sanity.layers, figures.correlation, figures.ssim, figures.empty, strict=True)
            for layer, correlation, likeness, empty in cells:
                rows.append(
                    {
                        "scheme": scheme,
                        "method": method,
                        "layer": layer,
                        "rank correlation": number(correlation, 2),
                        "SSIM": number(likeness, 2),
                        "empty": str(empty),
                    }
                )
    return f"Of {len(sanity.clips)} clips; 1 would be a map that does not depend on these weights.\n\n" + table(rows)


def _failures(summary: Summary) -> Iterator[str]:
    failures = summary.failures
    if failures:
        lines = [f"* {failure.path}: {failure.reason}" for failure in failures[:_MOST_FAILURES]]
        more = len(failures) - _MOST_FAILURES
        yield "## Clips that failed\n\n" + "\n".join(lines + [f"* and {more} more, in scores.csv"] * (more > 0))


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows as a Markdown table; columns of the first row."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([row.get(name, "").replace("|", "\\|") for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def interval(mean: Mean, digits: int = 1) -> str:
    """'61.0 [55.2, 66.1]', or a dash where it is undefined."""
    if mean.value is None:
        return "–"
    return f"{number(mean.value, digits)} [{number(mean.low, digits)}, {number(mean.high, digits)}]"


def number(value: float | None, digits: int = 1) -> str:
    """With fixed digits, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def _p_value(value: float | None, *, equals: bool = False) -> str:
    if value is None:
        return "–"
    text = "< 0.001" if value < 0.001 else f"{value:.3f}"
    if not equals:
        return text
    return f"p {text}" if text.startswith("<") else f"p = {text}"
