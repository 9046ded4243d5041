"""Compute the summary of a scoring run from its table: means with intervals, tests of pairs, classes, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from scipy import stats

from vidcam.fill import SCORE_FILLS
from vidcam.metrics.intervals import LEVEL, RESAMPLES
from vidcam.metrics.paired import TEST
from vidcam.metrics.time_audit import CHANGES
from vidcam.pipelines.score.columns import AREAS, FAILED, LEFT_OUT
from vidcam.pipelines.score.means import Values, clip_means
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.pairs import compare_pairs, log_kept
from vidcam.pipelines.score.sanity_figures import Sanity
from vidcam.pipelines.score.settings import Settings
from vidcam.pipelines.score.summary import (
    Accuracy,
    AlphaFigures,
    ClassFigures,
    FailedClip,
    FillAgreement,
    GridResult,
    Mean,
    MethodFigures,
    Summary,
    TimeFigures,
    defined,
)
from vidcam.pipelines.score.table import ScoreTable
from vidcam.results.verdict import judge

_PERCENT = 100.0
_CHECKS = {"random": "kept_random", "centre": "kept_centre", "frame-difference": "kept_difference"}
"""Control → the check of the verdict that compares with it."""


def summarise(
    table: ScoreTable,
    settings: Settings,
    *,
    command: str = "",
    ignored_columns: tuple[str, ...] = (),
    sanity: Sanity | None = None,
    grid: GridResult | None = None,
    worst: tuple[str, ...] = (),
) -> Summary:
    """Compute the summary of a run.

    Args:
        table: all rows of the run.
        settings: the settings of the run, with versions and device.
        command: the command line, for the report.
        ignored_columns: columns of the manifest that have no meaning here.
        sanity: the sanity checks.
        grid: the grid pointing game.
        worst: lines about the rendered clips.
    """
    return Summary(
        settings=settings,
        command=command,
        ignored_columns=ignored_columns,
        clips=sum(table.counts.values()),
        n=table.n,
        windows=float(np.mean(table.clips.windows)) if table.clips.windows else None,
        failed=table.counts[FAILED],
        left_out=table.counts[LEFT_OUT],
        groups=table.clips.groups,
        accuracy=_accuracy(table),
        interval=f"{LEVEL:.0%} percentile bootstrap, {RESAMPLES} resamples, groups drawn together",
        methods=_methods(table, settings.seed),
        test=TEST,
        pairs=compare_pairs(table, settings.seed),
        time=_time(table, settings.seed),
        fills=fill_agreement(table),
        classes=_classes(table),
        failures=tuple(FailedClip(path, reason) for path, reason in table.failures),
        sanity=sanity,
        grid=grid,
        worst=worst,
    )


def _accuracy(table: ScoreTable) -> Accuracy:
    """Compute the accuracy over all clips that were run, also those that were left out afterwards."""
    known, correct, correct_top5 = table.labelled
    top5 = None if correct_top5 is None else correct_top5 / known
    return Accuracy(known, correct / known if known else None, top5)


def _mean_columns(columns: Sequence[str]) -> dict[str, float]:
    """Return column → factor for the columns whose mean is reported; the factor makes percent."""
    percent = ("drop", "increase", "retention_auc", "pointing")
    shares = ("area", *AREAS, "energy", "temporal_iou")
    factors = {**dict.fromkeys(percent, _PERCENT), **dict.fromkeys(shares, 1.0)}
    factors |= {name: _PERCENT for name in columns if name.startswith(("retention_", "kept_"))}
    factors |= {name: 1.0 for name in columns if name.startswith(("tied_", "loc_"))}
    return {name: factors[name] for name in columns if name in factors}


def _methods(table: ScoreTable, seed: int) -> dict[str, MethodFigures]:
    """Compute the means of all methods at once, so that all use the same bootstrap draws."""
    factors = _mean_columns(table.columns)
    rows = (table.values(method, column) * factor for method in table.methods for column, factor in factors.items())
    logs = (log for method in table.methods if (log := log_kept(table, method)) is not None)
    of_columns, of_kept = clip_means(table, (rows, logs), seed)
    means = iter(of_columns)
    figures = {method: _figures(table, method, {name: next(means) for name in factors}) for method in table.methods}
    kept = dict(zip(table.methods, map(_exponential, of_kept), strict=True)) if of_kept else {}
    return {
        method: replace(of_method, kept=kept.get(method), verdicts=verdict_counts(table, method))
        for method, of_method in figures.items()
    }


def _exponential(mean: Mean) -> Mean:
    """Return the geometric mean of a mean of logarithms."""
    value, low, high = (None if end is None else float(np.exp(end)) for end in (mean.value, mean.low, mean.high))
    return Mean(value, low, high, mean.n)


def verdict_counts(table: ScoreTable, method: str) -> dict[str, int]:
    """Count the clips by verdict, from what is kept at half area and the controls; empty if these were not scored."""
    column, controls = "retention_0.5", [name for name in _CHECKS if name in table.methods]
    if method in CONTROLS or column not in table.columns or not controls:
        return {}
    columns = {"kept": table.values(method, column), "confidence": table.values(method, "probability")}
    columns |= {_CHECKS[name]: table.values(name, column) for name in controls}
    columns["range"] = 1.0 - table.values(method, "empty")
    words = (judge({name: float(values[clip]) for name, values in columns.items()}).word for clip in range(table.n))
    return dict(Counter({"reliable": 0, "doubtful": 0, "unreliable": 0}) + Counter(words))


def _figures(table: ScoreTable, method: str, means: dict[str, Mean]) -> MethodFigures:
    by_theta_or_delta = {name: mean for name, mean in means.items() if name != "retention_auc"}
    retention, tied, localization, kept_by_fill = (
        {name.removeprefix(prefix): mean for name, mean in by_theta_or_delta.items() if name.startswith(prefix)}
        for prefix in ("retention_", "tied_", "loc_", "kept_")
    )
    return MethodFigures(
        average_drop=means["drop"],
        increase=means["increase"],
        area=means["area"],
        retention=retention,
        tied=tied,
        kept_by_fill=kept_by_fill,
        retention_auc=means.get("retention_auc"),
        insertion=means.get("insertion"),
        deletion=means.get("deletion"),
        frame_insertion=means.get("frame_insertion"),
        frame_deletion=means.get("frame_deletion"),
        localization=localization,
        pointing=means.get("pointing"),
        energy=means.get("energy"),
        temporal_iou=means.get("temporal_iou"),
        empty=int(np.nansum(table.values(method, "empty"))),
        artifact=_flag_count(table, method, "artifact"),
        empty_post_softmax=_flag_count(table, method, "empty_post_softmax"),
        n_with_boxes=(
            int((~np.isnan(table.values(method, "pointing"))).sum()) if "pointing" in table.columns else None
        ),
        alpha=_alpha(table, method),
    )


def _flag_count(table: ScoreTable, method: str, column: str) -> int | None:
    """Count the clips with a flag; None if no clip has a value."""
    if column not in table.columns or method in CONTROLS:
        return None
    values = table.values(method, column)
    return None if np.isnan(values).all() else int(np.nansum(values))


def _alpha(table: ScoreTable, method: str) -> AlphaFigures | None:
    if method in CONTROLS or not table.n or np.isnan(table.values(method, "alpha_median")).all():
        return None

    def over_clips(reduce: Callable[[Values], float], column: str) -> float | None:
        return defined(float(reduce(table.values(method, column))))

    return AlphaFigures(
        min=over_clips(np.nanmin, "alpha_min"),
        q1=over_clips(np.nanmedian, "alpha_q1"),
        median=over_clips(np.nanmedian, "alpha_median"),
        q3=over_clips(np.nanmedian, "alpha_q3"),
        max=over_clips(np.nanmax, "alpha_max"),
        all_min=over_clips(np.nanmin, "alpha_all_min"),
        all_max=over_clips(np.nanmax, "alpha_all_max"),
        correlation_with_gradcam_plus=over_clips(np.nanmedian, "correlation_with_gradcam_plus"),
    )


def fill_agreement(table: ScoreTable) -> tuple[FillAgreement, ...]:
    """Compare the order of the methods with each pair of fills; controls are left out."""
    fills = [fill for fill in SCORE_FILLS if f"kept_{fill}" in table.columns]
    names = [method for method in table.methods if method not in CONTROLS]
    if not table.n or not fills:
        return ()
    kept = {fill: [float(table.values(name, f"kept_{fill}").mean()) for name in names] for fill in fills}
    return tuple(
        FillAgreement(a, b, defined(float(stats.kendalltau(kept[a], kept[b]).statistic)) if len(names) > 1 else None)
        for a, b in combinations(fills, 2)
    )


def _time(table: ScoreTable, seed: int) -> TimeFigures | None:
    """Compute the mean probability for the clip and for each change of its frames, and the percentage that is left."""
    if f"probability_{CHANGES[0]}" not in table.columns:
        return None
    original = table.values(table.methods[0], "probability")
    changed = [table.values(table.methods[0], f"probability_{change}") for change in CHANGES]
    (means,) = clip_means(table, [[original, *changed, *(100.0 * row / original for row in changed)]], seed)
    return TimeFigures(
        probability=dict(zip(("original", *CHANGES), means, strict=False)),
        remaining_percent=dict(zip(CHANGES, means[-len(CHANGES) :], strict=True)),
        evidence={method: curve.tolist() for method, curve in table.evidence.items()},
    )


def _classes(table: ScoreTable) -> dict[str, ClassFigures]:
    labels, number = np.unique(np.asarray(table.clips.class_label, dtype=str), return_inverse=True)
    clips = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number, minlength=len(labels)))[:-1])
    drops = {method: table.values(method, "drop") for method in table.methods}
    return {
        str(label): ClassFigures(
            len(of_class), {method: float(100.0 * drop[of_class].mean()) for method, drop in drops.items()}
        )
        for label, of_class in zip(labels, clips, strict=False)
    }
