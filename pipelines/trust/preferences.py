"""Which maps raters prefer: the scores of Grad-CAM++ section 4.2, and Davidson's strengths with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.crossed import crossed_intervals
from vidcam.metrics.intervals import Interval
from vidcam.metrics.preference import FIRST, SECOND, Comparisons, fit_strengths, refit_strengths
from vidcam.pipelines.trust.votes import VoteColumns

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class PreferredMethod:
    """How a method fared against all others.

    Attributes:
        method: its name.
        answers: pairs with it that were answered.
        score: normalised score: each clip is worth 1, shared by the methods and by `same` as its answers are.
        strength: Davidson's π; the strengths of all methods have the sum 1.
        log_strength: θ = log π, with mean 0 over the methods, and its interval.
    """

    method: str
    answers: int
    score: float
    strength: float
    log_strength: Interval


@dataclass(frozen=True, slots=True)
class PreferredPair:
    """How two methods fared against each other.

    Attributes:
        a: the one.
        b: the other.
        answers: number of answers.
        clips: number of clips with answers; the largest possible score.
        score_a: normalised score of a: each clip is worth 1.
        score_b: that of b.
        same: what is left of the clips.
        log_ratio: θ_a − θ_b and its interval; above 0, a is preferred.
    """

    a: str
    b: str
    answers: int
    clips: int
    score_a: float
    score_b: float
    same: float
    log_ratio: Interval


@dataclass(frozen=True, slots=True)
class Preferences:
    """The answers to which map shows better why the model says it.

    Attributes:
        methods: the strongest first.
        pairs: all pairs, the stronger one as a.
        same: normalised score of `same`.
        log_ties: λ = log ν, and its interval: how often `same` is answered for maps of equal strength.
        left_share: share of the left map among the answers that are not `same`; far from one half, raters have a side.
        note: what the strengths cannot say; may be empty.
    """

    methods: tuple[PreferredMethod, ...]
    pairs: tuple[PreferredPair, ...]
    same: float
    log_ties: Interval
    left_share: float
    note: str


def preferences(
    votes: VoteColumns, methods: tuple[str, ...], left_share: float, *, seed: int = 0, resamples: int = RESAMPLES
) -> Preferences:
    """Sum up the answers on pairs.

    Args:
        votes: the answers that count.
        methods: names of the methods.
        left_share: see `Preferences`.
        seed: of the resampling.
        resamples: of each bootstrap.
    """
    size = len(methods)
    strength, intervals, is_bounded = _fitted(votes, size, seed, resamples)
    order = sorted(range(size), key=lambda method: -intervals[method].value)
    scores = [float(clip_shares(votes, method).sum()) for method in range(size)]
    answers = [int(((votes.first == method) | (votes.second == method)).sum()) for method in range(size)]
    rows = (PreferredMethod(methods[m], answers[m], scores[m], float(strength[m]), intervals[m]) for m in order)
    ratios = dict(zip(combinations(range(size), 2), intervals[size + 1 :], strict=True))
    pairs = []
    for a, b in combinations(order, 2):  # a is the stronger one
        ratio = ratios[a, b] if a < b else _negative(ratios[b, a])
        of_pair = select(votes, np.isin(votes.first, (a, b)) & np.isin(votes.second, (a, b)))
        won, lost = (float(clip_shares(of_pair, method).sum()) for method in (a, b))
        clips = len(np.unique(of_pair.clips))
        pairs.append(PreferredPair(methods[a], methods[b], len(of_pair), clips, won, lost, clips - won - lost, ratio))
    same = len(np.unique(votes.clips)) - sum(scores)
    note = "" if is_bounded else "a method won or lost every comparison: the strengths have no limit, and no intervals"
    return Preferences(tuple(rows), tuple(pairs), same, intervals[size], left_share, note)


def _negative(interval: Interval) -> Interval:
    return Interval(-interval.value, -interval.high, -interval.low)


def _fitted(
    votes: VoteColumns, size: int, seed: int, resamples: int
) -> tuple[NDArray[np.float64], list[Interval], bool]:
    """Return π; the intervals of θ, of λ and of the differences of all pairs; whether there is a maximum."""
    rows, columns = np.triu_indices(size, 1)
    compared = Comparisons(votes.first, votes.second, votes.outcome, size)
    found = fit_strengths(compared.counts(np.ones((1, len(votes))))[0], size)
    values = np.append(found.log_strengths, found.log_ties)
    values = np.append(values, values[rows] - values[columns])
    if not found.is_bounded:
        return found.shares, [Interval(float(value), np.nan, np.nan) for value in values], False

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted = refit_strengths(found, compared.counts(weights))
        return np.concatenate([fitted, fitted[:, rows] - fitted[:, columns]], axis=1)

    generator = np.random.default_rng(seed)
    ends = crossed_intervals(statistic, votes.raters, votes.clips, generator, resamples=resamples)
    joined = zip(values, ends.low, ends.high, strict=True)
    return found.shares, [Interval(float(value), float(low), float(high)) for value, low, high in joined], True


def select(votes: VoteColumns, chosen: NDArray[np.bool_]) -> VoteColumns:
    """Return some of the votes."""
    return VoteColumns(
        votes.raters[chosen], votes.clips[chosen], votes.first[chosen], votes.second[chosen], votes.outcome[chosen]
    )


def clip_shares(votes: VoteColumns, method: int) -> NDArray[np.float64]:
    """Return for each clip with answers the share of its answers that prefer a method."""
    won = (votes.outcome == FIRST) & (votes.first == method) | (votes.outcome == SECOND) & (votes.second == method)
    owner = np.unique(votes.clips, return_inverse=True)[1]
    return np.asarray(np.bincount(owner, won) / np.maximum(np.bincount(owner), 1))
