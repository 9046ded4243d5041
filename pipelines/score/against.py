"""Compare runs of the same clips: other models, checkpoints, layers or fills. Everything is paired by clip.

Two runs share the clips that both have scored, and the methods that both have. Compared are accuracy, Average Drop, and
what the maps keep at equal area. GC++ A.1 observes that more accurate networks have a lower Average Drop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vidcam.errors import InputError
from vidcam.metrics.intervals import bootstrap_means
from vidcam.metrics.paired import holm, signed_rank
from vidcam.metrics.power import groups_needed, least_groups
from vidcam.metrics.retention import DEFAULT_THETAS, equal_area_ratios
from vidcam.pipelines.score.pairs import SIGNIFICANCE
from vidcam.pipelines.score.scored_set import Clip, ScoredSet
from vidcam.pipelines.score.summary import Mean

Values = NDArray[np.float64]

_INTERVALS = 11
"""Part of the seed of the intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChange:
    """One method in this run and in another one, on the clips of both.

    Attributes:
        method: method or control.
        drop: Average Drop of this run, in percent.
        other_drop: that of the other run.
        drop_change: this minus the other, in percentage points.
        log_ratio: log of what is kept here over what is kept there at equal area; None if it was not measured.
        p_holm: of the paired test of `log_ratio`, corrected over all methods and runs.
        groups: number of groups of clips.
        least_groups: number of groups with which a difference can be shown at all.
        groups_needed: number of groups that would show a difference like this one; None if there is none.
    """

    method: str
    drop: Mean
    other_drop: Mean
    drop_change: Mean
    log_ratio: Mean | None
    p_holm: float | None
    groups: int
    least_groups: int
    groups_needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """This run and another one.

    Attributes:
        run: name of the other run.
        clips: number of clips that both have scored.
        known: number of clips whose label both models know.
        accuracy: share of them that this run predicts rightly; None if there are none.
        other_accuracy: that of the other run.
        p_accuracy: exact test of the clips that only one of them predicts rightly (McNemar); None without labels.
        methods: one entry for each method of both.
    """

    run: str
    clips: int
    known: int
    accuracy: float | None
    other_accuracy: float | None
    p_accuracy: float | None
    methods: tuple[MethodChange, ...]


@dataclass(frozen=True, slots=True)
class RunPoint:
    """Accuracy and Average Drop of one run, each over all of its clips: method → mean."""

    run: str
    where: str
    accuracy: float | None
    known: int
    drops: dict[str, Mean]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """This run and others; `points` has this one first."""

    points: tuple[RunPoint, ...]
    changes: tuple[RunChange, ...]


def run_names(folders: Sequence[Path]) -> list[str]:
    """Name runs after their folders; by the whole path if two folders have one name."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def compare_runs(this: ScoredSet, others: Sequence[ScoredSet]) -> RunComparison:
    """Compare a run with others.

    Raises:
        InputError: another run has no clip or no method in common with this one.
    """
    names = run_names([this.folder, *(other.folder for other in others)])
    drafts = [_Pairing(this, other, name) for other, name in zip(others, names[1:], strict=True)]
    tests = [draft.p_value(method) for draft in drafts for method in draft.methods]
    corrected = iter(holm(tests))
    level = SIGNIFICANCE / max(1, sum(not np.isnan(p) for p in tests))
    changes = tuple(draft.change(corrected, level) for draft in drafts)
    return RunComparison(tuple(_point(run, name) for run, name in zip([this, *others], names, strict=True)), changes)


def _point(run: ScoredSet, name: str) -> RunPoint:
    summary = run.summary
    drops = {method: figures.average_drop for method, figures in summary.methods.items()}
    return RunPoint(name, summary.settings.where, summary.accuracy.value, summary.accuracy.known, drops)


class _Pairing:
    """Two runs on the clips that both have scored."""

    def __init__(self, this: ScoredSet, other: ScoredSet, name: str) -> None:
        self._runs, self.name = (this, other), name
        others = set(other.scored)
        self.clips: list[Clip] = [clip for clip in this.scored if clip in others]
        self.methods = [method for method in this.summary.methods if method in other.summary.methods]
        if not self.clips or not self.methods:
            what = "method" if self.clips else "scored clip"
            raise InputError(f"--against {other.folder}: it has no {what} in common with {this.folder}")
        self.groups = [this.rows[clip][0]["group"] for clip in self.clips]

    def _both(self, method: str, column: str) -> tuple[Values, Values]:
        this, other = (run.values(self.clips, method, column) for run in self._runs)
        return this, other

    def ratios(self, method: str) -> Values | None:
        """Return log of what is kept here over there, mean over θ, (N,); None if it was not measured in both."""
        columns = [f"retention_{theta:g}" for theta in DEFAULT_THETAS]
        if any(column not in run.columns for run in self._runs for column in columns):
            return None
        kept = np.array([self._both(method, column) for column in columns])  # (3, 2, N)
        original = self._both(method, "log_probability")
        ones = np.ones_like(kept[:, 0])
        logs = [equal_area_ratios(original[run], kept[:, run], ones).mean(axis=0) for run in (0, 1)]
        return np.asarray(logs[0] - logs[1])

    def p_value(self, method: str) -> float:
        """Return p of the paired test of `ratios`; NaN if it was not measured."""
        ratios = self.ratios(method)
        return float("nan") if ratios is None else signed_rank(ratios, self.groups).p_value

    def change(self, corrected: Iterator[float], level: float) -> RunChange:
        """Compare the two runs; `corrected` yields the corrected p of each method."""
        correct = self._both(self.methods[0], "correct")
        known = ~np.isnan(correct[0] + correct[1])
        this, other = (flags[known] for flags in correct)
        better, worse = int((this > other).sum()), int((this < other).sum())
        return RunChange(
            run=self.name,
            clips=len(self.clips),
            known=int(known.sum()),
            accuracy=float(this.mean()) if known.any() else None,
            other_accuracy=float(other.mean()) if known.any() else None,
            p_accuracy=_sign_test(better, better + worse) if known.any() else None,
            methods=tuple(self._method(method, next(corrected), level) for method in self.methods),
        )

    def _method(self, method: str, p_holm: float, level: float) -> MethodChange:
        drop, other_drop = (100.0 * values for values in self._both(method, "drop"))
        ratios = self.ratios(method)
        rows = [drop, other_drop, drop - other_drop, *([] if ratios is None else [ratios])]
        seed = self._runs[0].summary.settings.seed
        intervals = bootstrap_means(
            np.array(rows), lambda: np.random.default_rng([seed, 0, _INTERVALS]), groups=self.groups
        )
        groups = len(set(self.groups))
        means = [Mean.of(interval, n=len(self.clips), groups=groups) for interval in intervals]
        return MethodChange(
            method=method,
            drop=means[0],
            other_drop=means[1],
            drop_change=means[2],
            log_ratio=None if ratios is None else means[3],
            p_holm=None if np.isnan(p_holm) else p_holm,
            groups=groups,
            least_groups=least_groups(level),
            groups_needed=None if ratios is None else groups_needed(ratios, self.groups, level=level),
        )


def _sign_test(better: int, unequal: int) -> float:
    return float(stats.binomtest(better, unequal).pvalue) if unequal else 1.0
