"""The answers with their meaning: what was preferred, whether it was right, whether the rater paid attention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.preference import FIRST, SAME, SECOND
from vidcam.pipelines.trust.answers import NOT_SHOWN, AnswerSheet
from vidcam.pipelines.trust.content import StudyKey
from vidcam.pipelines.trust.design import Item

PASSED = 0.75
"""A rater who passed a smaller share of the checks is left out."""


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer with its meaning.

    Attributes:
        rater: who gave it.
        screen: place in the rater's form.
        item: the question.
        swapped: whether left and right were swapped.
        answer: as it was given.
        seconds: how long it took.
        is_repeated: whether the question was asked before.
    """

    rater: str
    screen: int
    item: Item
    swapped: bool
    answer: str
    seconds: float
    is_repeated: bool

    @property
    def outcome(self) -> int:
        """FIRST if the item's left map was preferred, SECOND for its right one, or SAME; for pairs."""
        return SAME if self.answer == "same" else FIRST if (self.answer == "left") != self.swapped else SECOND

    @property
    def is_passed(self) -> bool | None:
        """Whether a check of attention was passed; None for other questions. The item's left map is the answer."""
        return self.outcome == FIRST if self.item.kind in ("instruction", "shuffled") else None


def votes_of(sheets: Sequence[AnswerSheet], key: StudyKey) -> list[Vote]:
    """Return the votes of all raters, in the order of their forms, without clips that could not be shown."""
    return [vote for sheet in sheets for vote in _votes_of(sheet, key)]


def _votes_of(sheet: AnswerSheet, key: StudyKey) -> Iterator[Vote]:
    form, seen = key.forms[sheet.form], set[int]()
    for row in sheet.answers:
        item, swapped = divmod(form[row.screen], 2)
        is_repeated = item in seen
        seen.add(item)
        if row.answer != NOT_SHOWN:
            yield Vote(sheet.rater, row.screen, key.items[item], bool(swapped), row.answer, row.seconds, is_repeated)


@dataclass(frozen=True, slots=True)
class RaterSummary:
    """What is known of a rater.

    Attributes:
        rater: the random name.
        answers: number of answers.
        questions: number of questions of the form.
        checks: number of checks of attention that were answered.
        passed: how many of them were passed.
        repeated: pairs that were answered twice.
        same_again: how many of them were answered alike.
        median_seconds: median time of an answer.
        excluded: why the rater is left out; '' if not.
    """

    rater: str
    answers: int
    questions: int
    checks: int
    passed: int
    repeated: int
    same_again: int
    median_seconds: float
    excluded: str


def rater_summary(sheet: AnswerSheet, key: StudyKey, *, passed_share: float = PASSED) -> RaterSummary:
    """Sum up a rater, and decide by the checks alone whether the answers count."""
    votes = list(_votes_of(sheet, key))
    checks = [vote.is_passed for vote in votes if vote.is_passed is not None]
    first = {vote.item: vote.outcome for vote in votes if not vote.is_repeated and vote.item.kind == "pair"}
    again = [vote.outcome == first.get(vote.item) for vote in votes if vote.is_repeated]
    is_attentive = sum(checks) >= passed_share * len(checks)
    return RaterSummary(
        rater=sheet.rater,
        answers=len(votes),
        questions=len(key.forms[sheet.form]),
        checks=len(checks),
        passed=sum(checks),
        repeated=len(again),
        same_again=sum(again),
        median_seconds=float(np.median([vote.seconds for vote in votes])) if votes else float("nan"),
        excluded="" if is_attentive else f"passed {sum(checks)} of {len(checks)} checks of attention",
    )


@dataclass(frozen=True, slots=True, eq=False)
class VoteColumns:
    """Votes as columns; each is (N,).

    Attributes:
        raters: index of the rater.
        clips: index of the clip.
        first: index of the method on the item's left; NO_MAP for the video alone.
        second: index of the method on its right.
        outcome: see `Vote.outcome`.
    """

    raters: NDArray[np.int64]
    clips: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    outcome: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.raters)


def columns_of(votes: Sequence[Vote]) -> VoteColumns:
    """Turn votes on pairs, or on single maps, into columns."""
    names = {name: index for index, name in enumerate(dict.fromkeys(vote.rater for vote in votes))}
    rows = [(names[v.rater], v.item.clip, v.item.left, v.item.right, v.outcome) for v in votes]
    return VoteColumns(*np.array(rows, np.int64).reshape(-1, 5).T)
