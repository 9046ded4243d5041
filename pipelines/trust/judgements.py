"""Whether raters see that a model is wrong: their answers to "is the model right?", by the map that they saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.crossed import crossed_intervals
from vidcam.metrics.intervals import Interval
from vidcam.pipelines.trust.design import NO_MAP
from vidcam.pipelines.trust.votes import VoteColumns

VIDEO_ALONE = "video alone"


@dataclass(frozen=True, slots=True)
class JudgedMap:
    """The answers to clips with the maps of one method, as shares of all these answers.

    Attributes:
        method: its name, or `video alone`.
        answers: number of answers on clips whose true class is known.
        correct: share that is right about the model: yes if it is right, no if it is wrong.
        gain: `correct`, less that of the video alone.
        yes_if_right: share of yes where the model is right.
        yes_if_wrong: share of yes where the model is wrong: trust that it does not deserve.
        wrong_gain: `yes_if_wrong`, less that of the video alone; above 0, the maps make raters trust wrong answers.
        cannot_tell: share of `cannot tell`.
    """

    method: str
    answers: int
    correct: Interval
    gain: Interval
    yes_if_right: Interval
    yes_if_wrong: Interval
    wrong_gain: Interval
    cannot_tell: Interval


_MEASURES = ("correct", "yes_if_right", "yes_if_wrong", "cannot_tell")
_GAINS = {"gain": "correct", "wrong_gain": "yes_if_wrong"}


def judgements(
    votes: VoteColumns,
    answers: Sequence[str],
    is_right: Sequence[bool | None],
    methods: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[JudgedMap, ...]:
    """Sum up the answers on single maps; empty if no clip has a true class.

    Args:
        votes: the answers that count.
        answers: (N,) `yes`, `no` or `cannot tell`.
        is_right: for each clip whether the model is right; None if its true class is not known.
        methods: names of the methods.
        seed: of the resampling.
        resamples: of each bootstrap.
    """
    known = np.array([is_right[clip] is not None for clip in votes.clips], bool)
    if not known.any():
        return ()
    right = np.array([bool(is_right[clip]) for clip in votes.clips], bool)
    words, shown = np.array(answers), [NO_MAP, *range(len(methods))]
    yes, no = words == "yes", words == "no"
    events = {"correct": np.where(right, yes, no), "yes_if_right": yes, "yes_if_wrong": yes, "cannot_tell": ~(yes | no)}
    among = {"correct": known, "yes_if_right": known & right, "yes_if_wrong": known & ~right, "cannot_tell": known}

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = [
            _share(weights, events[measure], among[measure] & (votes.first == method))
            for measure in _MEASURES
            for method in shown
        ]
        table = np.stack(shares, axis=1).reshape(len(weights), len(_MEASURES), len(shown))
        gains = [table[:, _MEASURES.index(of)] - table[:, _MEASURES.index(of), :1] for of in _GAINS.values()]
        return np.concatenate([table, np.stack(gains, axis=1)], axis=1).reshape(len(weights), -1)

    found = crossed_intervals(statistic, votes.raters, votes.clips, np.random.default_rng(seed), resamples=resamples)
    least = np.repeat([0.0, -1.0], [len(_MEASURES) * len(shown), len(_GAINS) * len(shown)])
    ends = (found.value, np.clip(found.low, least, 1.0), np.clip(found.high, least, 1.0))
    table = np.stack(ends, axis=1).reshape(-1, len(shown), 3)
    rows = []
    for column, method in enumerate(shown):
        values = {name: Interval(*table[row, column].tolist()) for row, name in enumerate((*_MEASURES, *_GAINS))}
        count = int((known & (votes.first == method)).sum())
        rows.append(JudgedMap(VIDEO_ALONE if method == NO_MAP else methods[method], count, **values))
    return tuple(row for row in rows if row.answers)


def _share(weights: NDArray[np.float64], event: NDArray[np.bool_], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weighted share of an event among some answers, (B,); NaN if there are none."""
    total = weights @ among
    out: NDArray[np.float64] = np.full(len(weights), np.nan)
    return np.divide(weights @ (event & among), total, out=out, where=total > 0)
