"""An analysis as tables for the terminal, and all answers as a CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path

from vidcam.metrics.intervals import Interval
from vidcam.pipelines.trust.analysis import Analysis
from vidcam.pipelines.trust.content import StudyKey
from vidcam.pipelines.trust.design import SHUFFLED
from vidcam.pipelines.trust.judgements import VIDEO_ALONE
from vidcam.pipelines.trust.votes import Vote
from vidcam.system.atomic import atomic_write
from vidcam.system.filenames import csv_text
from vidcam.video.images import counted

Row = dict[str, str]

COLUMNS = (
    "rater", "screen", "question", "clip", "model_says", "label", "left", "right", "answer", "preferred", "passed",
    "repeated", "counted", "seconds",
)  # fmt: skip
"""Columns of the CSV. `left` and `right` are as the rater saw them."""


def interval_text(interval: Interval) -> str:
    """Write a value and its interval; '–' if it is not known."""
    if isnan(interval.value):
        return "–"
    value = f"{interval.value:.2f}"
    return value if isnan(interval.low) else f"{value} [{interval.low:.2f}, {interval.high:.2f}]"


def method_rows(analysis: Analysis) -> list[Row]:
    """One row for each method, and one for `same`; empty without answers on pairs."""
    found = analysis.preferences
    if found is None:
        return []
    rows = [
        {
            "method": row.method,
            "answers": str(row.answers),
            "score": f"{row.score:.2f}",
            "strength": "–" if isnan(row.strength) else f"{row.strength:.2f}",
            "log strength": interval_text(row.log_strength),
        }
        for row in found.methods
    ]
    return [*rows, {"method": "same", "answers": "", "score": f"{found.same:.2f}", "strength": "", "log strength": ""}]


def pair_rows(analysis: Analysis) -> list[Row]:
    """One row for each pair of methods."""
    if analysis.preferences is None:
        return []
    return [
        {
            "a": pair.a,
            "b": pair.b,
            "answers": str(pair.answers),
            "clips": str(pair.clips),
            "a better": f"{pair.score_a:.2f}",
            "b better": f"{pair.score_b:.2f}",
            "same": f"{pair.same:.2f}",
            "log ratio": interval_text(pair.log_ratio),
        }
        for pair in analysis.preferences.pairs
    ]


def judgement_rows(analysis: Analysis) -> list[Row]:
    """One row for each map that raters saw alone."""
    return [
        {
            "map": row.method,
            "answers": str(row.answers),
            "correct": interval_text(row.correct),
            "gain": "–" if row.method == VIDEO_ALONE else interval_text(row.gain),
            "yes if right": interval_text(row.yes_if_right),
            "yes if wrong": interval_text(row.yes_if_wrong),
            "wrong gain": "–" if row.method == VIDEO_ALONE else interval_text(row.wrong_gain),
            "cannot tell": f"{row.cannot_tell.value:.2f}",
        }
        for row in analysis.judgements
    ]


def sentences(analysis: Analysis) -> Iterator[str]:
    """Say in words what can be concluded, who was left out, and how far raters agree."""
    kept = [rater for rater in analysis.raters if not rater.excluded]
    unfinished = sum(rater.answers < rater.questions for rater in kept)
    yield f"{counted(len(kept), 'rater')}, {counted(analysis.answers, 'answer')}"
    if unfinished:
        yield f"{counted(unfinished, 'rater')} did not finish; their answers count"
    for rater in analysis.raters:
        if rater.excluded:
            yield f"rater {rater.rater} is left out: {rater.excluded}"
    if analysis.preferences is not None:
        for pair in analysis.preferences.pairs:
            yield _conclusion(pair.a, pair.b, pair.log_ratio)
        if analysis.preferences.note:
            yield analysis.preferences.note
        if not isnan(analysis.preferences.left_share):
            yield f"left was chosen in {analysis.preferences.left_share:.0%} of the answers that are not same"
    yield from _trust(analysis)
    yield from _agreement(analysis)
    yield from analysis.notes


def _conclusion(a: str, b: str, ratio: Interval) -> str:
    if isnan(ratio.low):
        return f"{a} and {b}: no interval, so nothing can be concluded"
    return f"{a} is preferred to {b}" if ratio.low > 0 else f"no preference between {a} and {b} is shown"


def _trust(analysis: Analysis) -> Iterator[str]:
    """Say which maps make raters trust the model where it is wrong, or help them to see it."""
    for row in analysis.judgements:
        if row.wrong_gain.low > 0:
            yield f"{row.method}: raters trust wrong answers more often than with the video alone"
        if row.gain.low > 0 or row.gain.high < 0:
            yield f"{row.method}: raters judge the model {'better' if row.gain.low > 0 else 'worse'} than without a map"


def _agreement(analysis: Analysis) -> Iterator[str]:
    """Say how far raters agree with each other and with themselves, as far as it is known."""
    alphas = {"on pairs": analysis.agreement_on_pairs, "on whether the model is right": analysis.agreement_on_right}
    known = [f"{alpha:.2f} {what}" for what, alpha in alphas.items() if not isnan(alpha)]
    if known:
        yield f"agreement (Krippendorff's alpha): {', '.join(known)}"
    if not isnan(analysis.same_again):
        yield f"repeated pairs answered alike: {analysis.same_again:.0%}"


def write_answers(path: Path, votes: Sequence[Vote], key: StudyKey, analysis: Analysis) -> None:
    """Write all answers with the names of clips and methods; an existing file is replaced."""
    excluded = {rater.rater for rater in analysis.raters if rater.excluded}
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for vote in votes:
            row = _answer_row(vote, key, is_counted=vote.rater not in excluded)
            writer.writerow({name: csv_text(text) for name, text in row.items()})


def _answer_row(vote: Vote, key: StudyKey, *, is_counted: bool) -> Row:
    item, clip, is_single = vote.item, key.clips[vote.item.clip], vote.item.kind == "single"
    maps = [_map_name(key, item.left), "" if is_single else _map_name(key, item.right)]
    left, right = reversed(maps) if vote.swapped else maps
    preferred = "" if is_single else {0: maps[0], 1: maps[1], 2: "same"}[vote.outcome]
    is_question = vote.is_passed is None and not vote.is_repeated
    return {
        "rater": vote.rater,
        "screen": str(vote.screen),
        "question": {"single": "is the model right", "pair": "which is better"}.get(item.kind, "check of attention"),
        "clip": clip.name,
        "model_says": clip.says,
        "label": clip.label or "",
        "left": left,
        "right": right,
        "answer": vote.answer,
        "preferred": preferred,
        "passed": "" if vote.is_passed is None else str(vote.is_passed).lower(),
        "repeated": str(vote.is_repeated).lower(),
        "counted": str(is_counted and is_question).lower(),
        "seconds": f"{vote.seconds:.2f}",
    }


def _map_name(key: StudyKey, index: int) -> str:
    return "shuffled" if index == SHUFFLED else key.method(index) or VIDEO_ALONE
