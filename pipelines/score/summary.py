"""The answer in figures: means with their intervals for each method, pairs of methods with a test, classes, time.

Percent where the papers have percent (drop, increase, retention, wins), shares elsewhere. Every mean is
{"value", "low", "high"}: a 95 % percentile bootstrap, groups of clips drawn together. Undefined is null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.faithfulness import log_ratio, relative_performance, win, win_rates
from vidcam.metrics.intervals import LEVEL, RESAMPLES, Interval, bootstrap_means
from vidcam.metrics.localization import DELTAS
from vidcam.metrics.paired import TEST, holm, signed_rank
from vidcam.metrics.time_audit import CHANGES
from vidcam.pipelines.score.columns import AREAS, FAILED, LEFT_OUT
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.table import ScoreTable

_INTERVALS = 9
"""Purpose of the generator, beside those of `score_clip`."""

_PERCENT, _SHARE = 100.0, 1.0


def summarise(table: ScoreTable, *, seed: int) -> dict[str, Any]:
    """Everything in summary.json that follows from the rows."""
    return {
        "n": table.n,
        "failed": table.clips[FAILED],
        "left_out": table.clips[LEFT_OUT],
        "groups": len(set(table.facts["group"])),
        "interval": f"{LEVEL:.0%} percentile bootstrap, {RESAMPLES} resamples, groups drawn together",
        "accuracy": _accuracy(table),
        "methods": _methods(table, seed),
        "pairs": _pairs(table, seed),
        "test": TEST,
        "time": _time(table, seed),
        "classes": _classes(table),
        "failures": [{"path": path, "reason": reason} for path, reason in table.failures],
    }


def _generator(seed: int) -> Callable[[], np.random.Generator]:
    return lambda: np.random.default_rng([seed, 0, _INTERVALS])


def intervals(
    table: ScoreTable, rows: Sequence[NDArray[np.float64]] | NDArray[np.float64], seed: int
) -> list[dict[str, float | None]]:
    """One mean with its interval for each row (N,) of values."""
    if not table.n:
        return [as_dict(Interval(math.nan, math.nan, math.nan))] * len(rows)
    found = bootstrap_means(np.asarray(rows), _generator(seed), groups=table.facts["group"])
    return [as_dict(interval) for interval in found]


def as_dict(interval: Interval) -> dict[str, float | None]:
    """An interval as the JSON states it."""
    parts = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: defined(value) for name, value in parts.items()}


def defined(value: float) -> float | None:
    """A number, or None where it is undefined."""
    return value if math.isfinite(value) else None


def _accuracy(table: ScoreTable) -> dict[str, Any]:
    """Of all clips that the model was shown, those that were left out for their answer among them."""
    known, right = table.answers
    return {"known": known, "value": right / known if known else None}


def _wanted(table: ScoreTable) -> Iterator[tuple[tuple[str, ...], str, float]]:
    """Path in a method's figures, column, factor."""
    known = set(table.columns)
    yield ("average_drop",), "drop", _PERCENT
    yield ("increase",), "increase", _PERCENT
    yield ("area",), "area", _SHARE
    for kind, factor in (("retention", _PERCENT), ("tied", _SHARE)):
        for column in (name for name in table.columns if name.startswith(f"{kind}_") and name != "retention_area"):
            yield (kind, column.removeprefix(f"{kind}_")), column, factor
    yield from ((("retention_area",), "retention_area", _PERCENT) for _ in range("retention_area" in known))
    yield from (((name,), name, _SHARE) for name in AREAS if name in known)
    if "pointing" in known:
        yield from ((("localization", f"{delta:g}"), f"loc_{delta:g}", _SHARE) for delta in DELTAS)
        yield ("pointing",), "pointing", _PERCENT
        yield from (((name,), name, _SHARE) for name in ("energy", "temporal_iou"))


def _methods(table: ScoreTable, seed: int) -> dict[str, Any]:
    wanted = list(_wanted(table))
    rows = np.empty((len(table.methods) * len(wanted), table.n))
    for row, (method, (_, column, factor)) in zip(rows, product(table.methods, wanted), strict=True):
        np.multiply(table.values(method, column), factor, out=row)
    found = iter(intervals(table, rows, seed))
    return {method: _figures(table, method, [(path, next(found)) for path, _, _ in wanted]) for method in table.methods}


def _figures(table: ScoreTable, method: str, means: Sequence[tuple[tuple[str, ...], Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for path, mean in means:
        home = figures
        for name in path[:-1]:
            home = home.setdefault(name, {})
        home[path[-1]] = mean
    figures["empty"] = int(np.nansum(table.values(method, "empty")))
    for name in ("sink", "empty_post"):
        if name in table.columns and method not in CONTROLS:
            values = table.values(method, name)
            figures[name] = int(np.nansum(values)) if not np.isnan(values).all() else None
    if "pointing" in table.columns:
        figures["n_with_boxes"] = int((~np.isnan(table.values(method, "pointing"))).sum())
    return figures | _alpha(table, method)


def _alpha(table: ScoreTable, method: str) -> dict[str, Any]:
    """Medians over the clips of each clip's own quartiles, and the extremes over all."""
    if method in CONTROLS or not table.n or np.isnan(table.values(method, "alpha_median")).all():
        return {}
    numbers = {
        "min": np.nanmin(table.values(method, "alpha_min")),
        **{name: np.nanmedian(table.values(method, f"alpha_{name}")) for name in ("q1", "median", "q3")},
        "max": np.nanmax(table.values(method, "alpha_max")),
        "all_min": np.nanmin(table.values(method, "alpha_all_min")),
        "all_max": np.nanmax(table.values(method, "alpha_all_max")),
        "like_gradcam_plus": np.nanmedian(table.values(method, "like_gradcam_plus")),
    }
    return {"alpha": {name: defined(float(value)) for name, value in numbers.items()}}


def pair_names(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Which two are compared: each method with those before it, and with each control."""
    own = [method for method in methods if method not in CONTROLS]
    later = [(second, first) for first, second in combinations(own, 2)]
    return later + [(method, control) for method in own for control in methods if control in CONTROLS]


def _pairs(table: ScoreTable, seed: int) -> list[dict[str, Any]]:
    if not table.n:
        return []
    names = pair_names(table.methods)
    pairs = [_pair(table, a, b, seed) for a, b in names]
    for pair, p_value in zip(pairs, holm([pair["p_value"] for pair in pairs]), strict=True):
        pair["p_holm"] = defined(p_value)
        pair["p_value"] = defined(pair["p_value"])
    return pairs


def _pair(table: ScoreTable, a: str, b: str, seed: int) -> dict[str, Any]:
    ratios = _ratios(table, a, b, "log_masked")
    won = win(table.values(a, "drop"), table.values(b, "drop"), ratios)
    wins = win_rates(won)
    win_a, log_mean = intervals(table, [100.0 * (won == 1), ratios], seed)
    found = signed_rank(ratios, table.facts["group"])
    pair: dict[str, Any] = {"a": a, "b": b, "win_a": wins.a, "win_b": wins.b, "ties": wins.ties}
    pair |= {"win_a_low": win_a["low"], "win_a_high": win_a["high"]}
    pair |= _relative(ratios)
    pair |= {f"relative_performance_{end}": _exponential(log_mean[end]) for end in ("low", "high")}
    pair |= {"p_value": found.p_value, "groups_that_differ": found.groups}
    if "log_masked_post" in table.columns and b not in CONTROLS:
        pair["post"] = _relative(_ratios(table, a, b, "log_masked_post"))
    return pair


def _ratios(table: ScoreTable, a: str, b: str, column: str) -> NDArray[np.float64]:
    return log_ratio(table.values(a, column), table.values(b, column))


def _relative(ratios: NDArray[np.float64]) -> dict[str, Any]:
    found = relative_performance(ratios)
    numbers = {"relative_performance": found.value, "log_mean": found.log_mean, "log_std": found.log_std}
    return {name: defined(value) for name, value in numbers.items()}


def _exponential(value: float | None) -> float | None:
    return None if value is None else defined(float(np.exp(value)))


def _time(table: ScoreTable, seed: int) -> dict[str, Any] | None:
    """Mean probability as it is and with the frames changed; what is left of it, in percent."""
    if f"probability_{CHANGES[0]}" not in table.columns:
        return None
    original = table.values(table.methods[0], "probability")
    rows = [original, *(table.values(table.methods[0], f"probability_{change}") for change in CHANGES)]
    left = [100.0 * row / original for row in rows[1:]]
    found = intervals(table, [*rows, *left], seed)
    probabilities = dict(zip(("original", *CHANGES), found[: len(rows)], strict=True))
    return {
        "probability": probabilities,
        "left_percent": dict(zip(CHANGES, found[len(rows) :], strict=True)),
        "evidence": {method: course.tolist() for method, course in table.evidence.items()},
    }


def _classes(table: ScoreTable) -> dict[str, Any]:
    """For each explained class, how many clips, and each method's average drop."""
    labels = np.asarray(table.facts["class"], dtype=str)
    drops = {method: table.values(method, "drop") for method in table.methods}
    return {
        str(label): {
            "n": int((labels == label).sum()),
            "average_drop": {method: float(100.0 * drops[method][labels == label].mean()) for method in table.methods},
        }
        for label in np.unique(labels)
    }
