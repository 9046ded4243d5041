"""Runs compared, in words: `against.md` and `against.png` beside the results, and `against.json` with the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidcam.pipelines.score.against import MethodChange, RunChange, RunComparison, compare_runs
from vidcam.pipelines.score.conclusions import outcome
from vidcam.pipelines.score.numbers import (
    clips_text,
    clips_that_would,
    factor,
    interval,
    number,
    p_cell,
    p_value,
    times_text,
)
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.pairs import SIGNIFICANCE
from vidcam.pipelines.score.report import table
from vidcam.pipelines.score.scored_set import ScoredSet, read_scored_set
from vidcam.pipelines.score.summary import Mean
from vidcam.render.score_plots import plot_accuracy
from vidcam.system.atomic import atomic_write
from vidcam.system.json_files import write_json

AGAINST_FILES = ("against.md", "against.png", "against.json")


def write_comparison(folder: Path, others: Sequence[ScoredSet]) -> tuple[RunComparison, tuple[Path, ...]]:
    """Compare a finished run with others, and write the comparison into its folder.

    Raises:
        InputError: the folder has no finished run, or another run has nothing in common with it.
        OutputError, RunError: writing failed.
    """
    compared = compare_runs(read_scored_set(folder), others)
    text, picture, data = (folder / name for name in AGAINST_FILES)
    write_json(data, compared, sync=True)
    points = {
        point.run: (point.accuracy, {name: _ends(mean) for name, mean in point.drops.items() if name not in CONTROLS})
        for point in compared.points
        if point.accuracy is not None
    }
    has_plot = len(points) > 1
    if has_plot:
        with atomic_write(picture, sync=True) as path:
            plot_accuracy(path, points, title="Average Drop against accuracy (GC++ A.1)")
    else:
        picture.unlink(missing_ok=True)
    with atomic_write(text, sync=True) as path:
        path.write_text(_markdown(compared, has_plot=has_plot), "utf-8")
    return compared, (text, picture, data) if has_plot else (text, data)


def run_rows(compared: RunComparison) -> list[dict[str, str]]:
    """Return one row for each run: accuracy, and Average Drop of each method over all of its clips."""
    return [
        {"run": point.run, "model": point.where, "accuracy %": _percent(point.accuracy), "labels": str(point.known)}
        | {f"drop % {name}": interval(mean) for name, mean in point.drops.items() if name not in CONTROLS}
        for point in compared.points
    ]


def change_rows(change: RunChange) -> list[dict[str, str]]:
    """Return one row for each method, this run against another one, on the clips of both."""
    return [
        {
            "method": each.method,
            "drop % here": interval(each.drop),
            f"in {change.run}": interval(each.other_drop),
            "change": interval(each.drop_change),
            "kept, here : there": "–" if each.log_ratio is None else factor(each.log_ratio),
            "p (Holm)": p_cell(each.p_holm),
        }
        for each in change.methods
    ]


def sentences(compared: RunComparison) -> Iterator[str]:
    """Say what can be concluded about the runs."""
    this = compared.points[0].run
    for change in compared.changes:
        yield _accuracy_sentence(this, change)
        for each in change.methods:
            if each.log_ratio is not None and each.method not in CONTROLS:
                yield _kept_sentence(this, change.run, each)
    runs = sum(point.accuracy is not None for point in compared.points)
    if runs > 1:
        yield (
            f"{runs} runs: the smallest p of a rank correlation of accuracy and Average Drop is "
            f"{number(min(1.0, 2.0 / math.factorial(runs)), 2)}"
            + (", so none can be shown. It takes 5 runs." if runs < _LEAST_RUNS else ".")
        )


_READING = (
    "Clips are paired. Kept is the share of the probability that is left with the lowest 25, 50 and 75 % of the voxels "
    "hidden, the geometric mean. Intervals are 95 % bootstrap intervals."
)
_LEAST_RUNS = 5
"""2 / 5! is the first below 5 %."""


def _accuracy_sentence(this: str, change: RunChange) -> str:
    if change.accuracy is None or change.other_accuracy is None:
        return f"{this} and {change.run} share {clips_text(change.clips)}, none with a label that both models know."
    what = (
        f"{this} is right in {_percent(change.accuracy)} %, {change.run} in {_percent(change.other_accuracy)} % of the "
        f"same {change.known} clips ({p_value(change.p_accuracy)})"
    )
    is_shown = change.p_accuracy is not None and change.p_accuracy < SIGNIFICANCE
    return f"{what}." if is_shown else f"{what}: so many clips do not separate them."


def _kept_sentence(this: str, other: str, change: MethodChange) -> str:
    """Say in which run a method keeps more at equal area."""
    assert change.log_ratio is not None
    mean, method = change.log_ratio, change.method
    clips, times = clips_text(mean.n, change.groups), times_text(mean)
    match outcome(mean, change.p_holm, has_enough=change.groups >= change.least_groups):
        case "unknown":
            return f"{method}: what is kept is undefined."
        case "too few":
            least = f"it takes {change.least_groups} or more"
            return f"{method}: {clips} cannot tell the runs apart (so far {times}); {least}."
        case "equal":
            return f"{method} keeps the same in {this} and {other}, within 5 %: {times}."
        case "different":
            more = "more" if mean.value is not None and mean.value > 0 else "less"
            return f"{method} keeps {more} in {this} than in {other}: {times}, {p_value(change.p_holm)}."
    needed = clips_that_would(change.groups_needed)
    return f"{method}: {clips} do not tell the runs apart ({times}, {p_value(change.p_holm)}{needed})."


def _markdown(compared: RunComparison, *, has_plot: bool) -> str:
    this = compared.points[0].run
    parts = [
        f"# {this} against {', '.join(change.run for change in compared.changes)}",
        "\n".join(f"* {sentence}" for sentence in sentences(compared)),
        _READING,
        "## Runs\n\n" + table(run_rows(compared)),
        *["![Average Drop against accuracy](against.png)"] * has_plot,
        *(
            f"## Against {change.run}: {change.clips} clips\n\n{table(change_rows(change))}"
            for change in compared.changes
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _ends(mean: Mean) -> tuple[float, float, float]:
    """Return a mean and the ends of its interval; NaN if they are undefined."""
    value, low, high = (math.nan if part is None else part for part in (mean.value, mean.low, mean.high))
    return value, low, high


def _percent(share: float | None) -> str:
    return "–" if share is None else number(100 * share)
