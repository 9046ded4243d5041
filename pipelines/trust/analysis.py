"""`vidcam study collect`: from the answers of all raters to what a study shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidcam.errors import InputError
from vidcam.metrics.raters import krippendorff_alpha
from vidcam.pipelines.trust.answers import SINGLE_ANSWERS, Collected, collect_answers
from vidcam.pipelines.trust.content import KEY_ENDING, StudyKey, read_key
from vidcam.pipelines.trust.judgements import JudgedMap, judgements
from vidcam.pipelines.trust.preferences import RESAMPLES, Preferences, preferences
from vidcam.pipelines.trust.votes import PASSED, RaterSummary, Vote, columns_of, rater_summary, votes_of
from vidcam.system.filenames import as_text

INTERVAL = (
    "95 %, for other raters and other clips: bootstraps over raters, over clips and over pairs of both; "
    "variance V_raters + V_clips - V_pairs"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What a study shows.

    Attributes:
        study: name of the study.
        methods: names of the methods.
        clips: number of clips of the study.
        raters: all raters, with those who were left out.
        answers: answers that count, without checks and repeated questions.
        preferences: which maps are preferred; None without answers on pairs.
        judgements: whether raters see that the model is wrong, by method; empty without true classes.
        agreement_on_pairs: Krippendorff's α; 1 is full agreement, 0 that of chance.
        agreement_on_right: the same for the question whether the model is right.
        same_again: share of repeated pairs that were answered alike.
        interval: how the intervals were made.
        passed: share of the checks that a rater had to pass.
        seed: of the resampling.
        notes: what was skipped, and why.
    """

    schema: int = 1
    study: str
    methods: tuple[str, ...]
    clips: int
    raters: tuple[RaterSummary, ...]
    answers: int
    preferences: Preferences | None
    judgements: tuple[JudgedMap, ...]
    agreement_on_pairs: float
    agreement_on_right: float
    same_again: float
    interval: str
    passed: float
    seed: int
    notes: tuple[str, ...]


def find_key(folder: Path, key: Path | None) -> StudyKey:
    """Read the key that is given, or the only one in the folder.

    Raises:
        InputError: there is none, or there are several.
    """
    if key is not None:
        return read_key(key)
    found = sorted(folder.rglob(f"*{KEY_ENDING}"))
    if len(found) != 1:
        what = ", ".join(as_text(path.name) for path in found) or "none"
        raise InputError(f"'{folder}' should have one key, *{KEY_ENDING}, and has {what}; pass it with --key")
    return read_key(found[0])


def analyse(
    folder: Path,
    key: StudyKey,
    *,
    passed: float = PASSED,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[Analysis, list[Vote]]:
    """Read the answers in a folder and sum them up.

    The folder has the files that raters saved, or the server's database. A rater who passed a smaller share of the
    checks of attention than `passed` is left out. Each bootstrap has so many resamples.

    Returns:
        The analysis, and the votes of all raters.

    Raises:
        InputError: there are no answers, or an option is out of its range.
    """
    if not 0.0 <= passed <= 1.0:
        raise InputError(f"--passed is {passed:g}; it must be from 0 to 1")
    if not 2 <= resamples <= 100_000:
        raise InputError(f"--resamples is {resamples}; it must be from 2 to 100000")
    collected = collect_answers(folder, key)
    return analysis_of(collected, key, passed=passed, seed=seed, resamples=resamples), votes_of(collected.sheets, key)


def analysis_of(collected: Collected, key: StudyKey, *, passed: float, seed: int, resamples: int) -> Analysis:
    """Sum up answers; arguments as in `analyse`."""
    raters = tuple(rater_summary(sheet, key, passed_share=passed) for sheet in collected.sheets)
    kept = {rater.rater for rater in raters if not rater.excluded}
    votes = [vote for vote in votes_of(collected.sheets, key) if vote.rater in kept and not vote.is_repeated]
    pairs = [vote for vote in votes if vote.item.kind == "pair"]
    singles = [vote for vote in votes if vote.item.kind == "single"]
    sides = [vote.answer == "left" for vote in pairs if vote.answer != "same"]
    repeated = sum(rater.repeated for rater in raters if not rater.excluded)
    same_again = sum(rater.same_again for rater in raters if not rater.excluded)
    left_share = float(np.mean(sides)) if sides else np.nan
    found = preferences(columns_of(pairs), key.methods, left_share, seed=seed, resamples=resamples) if pairs else None
    return Analysis(
        study=key.study,
        methods=key.methods,
        clips=len(key.clips),
        raters=raters,
        answers=len(pairs) + len(singles),
        preferences=found,
        judgements=judgements(
            columns_of(singles),
            [vote.answer for vote in singles],
            [clip.is_right for clip in key.clips],
            key.methods,
            seed=seed,
            resamples=resamples,
        ),
        agreement_on_pairs=_alpha(pairs, [vote.outcome for vote in pairs]),
        agreement_on_right=_alpha(singles, [SINGLE_ANSWERS.index(vote.answer) for vote in singles]),
        same_again=same_again / repeated if repeated else np.nan,
        interval=INTERVAL,
        passed=passed,
        seed=seed,
        notes=collected.notes,
    )


def _alpha(votes: Sequence[Vote], values: Sequence[int]) -> float:
    units = {item: index for index, item in enumerate(dict.fromkeys(vote.item for vote in votes))}
    return krippendorff_alpha(np.array([units[vote.item] for vote in votes], np.int64), np.array(values, np.int64))
