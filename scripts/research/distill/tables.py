"""Tables of the runs in Markdown: means, paired differences with 95 % intervals, the paper's numbers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scripts import markdown
from scripts.research.distill.results import Run
from scripts.research.distill.rows import PAPER, ROWS

BASE = "cross-entropy"
MEASURES = ("error", "agreement", "energy gradcam", "pointing gradcam", "energy gradcam++", "pointing gradcam++")
LEVEL, POWER = 0.95, 0.8


def tables_text(runs: Sequence[Run]) -> str:
    """Return the tables of each setting: means, then differences to the row without maps."""
    parts = []
    for (clips, steps), group in groupby(sorted(runs, key=_setting), _setting):
        own = list(group)
        names = [name for name in ROWS if any(run["row"] == name for run in own)]
        parts += [
            f"## {clips} clips, {steps} batches of 32; error of the teacher {100 * own[0]['teacher_error']:.2f} %",
            "\n".join(_means(own, names)),
            "\n".join(_differences(own, names)),
        ]
    return "\n\n".join(parts)


def plan_text(runs: Sequence[Run], seeds: int) -> str:
    """Return what a pilot tells: the time of a run, its spread, and the smallest difference that pairs can show."""
    errors = 100 * np.array([run["error"] for run in runs])
    spread = float(errors.std(ddof=1))
    seconds = np.array([[run["cpu_seconds"], run["seconds"]] for run in runs]).mean(axis=0)
    return (
        f"{len(runs)} pilot runs of {runs[0]['row']}: {seconds[0]:.0f} s of CPU each ({seconds[1]:.0f} s by clock), "
        f"error {errors.mean():.2f} %, standard deviation {spread:.2f}. Independent errors of {seeds} pairs show a "
        f"difference of {detectable(2**0.5 * spread, seeds):.2f} points with a power of {POWER:.0%}."
    )


def detectable(deviation: float, pairs: int) -> float:
    """The smallest mean difference that a two-sided paired t-test at 5 % finds with a power of 80 %.

    Args:
        deviation: standard deviation of the differences.
        pairs: number of pairs, at least 2.
    """
    quantiles = stats.t.ppf([0.5 + LEVEL / 2, POWER], pairs - 1)
    return float(quantiles.sum() * deviation / np.sqrt(pairs))


def paired(runs: Sequence[Run], name: str, reference: str, measure: str) -> NDArray[np.float64]:
    """Return the differences of a measure between two rows, one for each seed that both have."""
    first, second = ({run["seed"]: run[measure] for run in runs if run["row"] == row} for row in (name, reference))
    return np.array([first[seed] - second[seed] for seed in sorted(set(first) & set(second))])


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean of values and its 95 % interval by Student's t; NaN for fewer than two values."""
    if len(values) < 2:
        return float(values.mean()) if len(values) else np.nan, np.nan, np.nan
    half = stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def _setting(run: Run) -> tuple[int, int]:
    return run["clips"], run["steps"]


def _means(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    rows = []
    for name in names:
        own = [run for run in runs if run["row"] == name]
        cells = [_percent(np.array([run[measure] for run in own])) for measure in MEASURES]
        rows.append((name, str(len(own)), *cells, f"{PAPER[name]:.2f}" if name in PAPER else "–"))
    return markdown.table(("loss", "seeds", *map(_title, MEASURES), "paper's error %"), rows)


def _differences(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Lines of the table of paired differences; Hinton's loss alone is compared with no teacher at all."""
    rows = []
    for name in names:
        reference = f"{BASE} + KD" if name.endswith(" + KD") and name != f"{BASE} + KD" else BASE
        errors = 100 * paired(runs, name, reference, "error")
        if name == BASE or not len(errors):
            continue
        cells = [_percent(paired(runs, name, reference, measure), sign="+") for measure in MEASURES]
        smallest = f"{detectable(float(errors.std(ddof=1)), len(errors)):.2f}" if len(errors) > 1 else "–"
        paper = f"{PAPER[name] - PAPER[reference]:+.2f}" if name in PAPER else "–"
        rows.append((f"{name} − {reference}", str(len(errors)), *cells, smallest, paper))
    header = ("difference", "pairs", *map(_title, MEASURES), "smallest error that it can show", "paper's error")
    return markdown.table(header, rows)


def _percent(values: NDArray[np.float64], sign: str = "") -> str:
    mean, low, high = (100 * number for number in interval(values))
    return f"{mean:{sign}.1f}" + (f" [{low:{sign}.1f}, {high:{sign}.1f}]" if len(values) > 1 else "")


def _title(measure: str) -> str:
    return f"{measure} %"
