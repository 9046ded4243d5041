"""From answers to results: the scores of the paper by hand, exclusions, and whether raters see a wrong answer."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.studies import answer_file, prefers
from vidcam.errors import InputError
from vidcam.pipelines.trust.analysis import Analysis, analyse, analysis_of, find_key
from vidcam.pipelines.trust.answers import AnswerRow, AnswerSheet, Collected
from vidcam.pipelines.trust.content import KeyClip, StudyKey
from vidcam.pipelines.trust.design import NO_MAP, SHUFFLED, Item
from vidcam.pipelines.trust.make import WrittenStudy
from vidcam.pipelines.trust.tables import judgement_rows, method_rows, pair_rows, sentences, write_answers
from vidcam.pipelines.trust.votes import votes_of
from vidcam.system.json_files import to_json, write_json

ITEMS = (
    Item("pair", 0, 0, 1), Item("pair", 1, 0, 1), Item("instruction", 0, 0, 1), Item("shuffled", 1, 0, SHUFFLED),
    Item("single", 0, 0), Item("single", 1, 0), Item("single", 0, NO_MAP), Item("single", 1, 1),
)  # fmt: skip
KEY = StudyKey(
    study="by-hand", title="", version="", seed=0, methods=("one", "two"),
    clips=(KeyClip("a.mp4", "yoga", "yoga"), KeyClip("b.mp4", "yoga", "archery")), items=ITEMS,
    forms=((0, 2, 4, 6, 1), (1, 3, 5, 7, 0), (8, 10), (12, 14)),
)  # fmt: skip


def sheet(rater: str, form: int, *answers: str) -> AnswerSheet:
    return AnswerSheet("by-hand", rater, form, tuple(AnswerRow(k, answer, 2.0) for k, answer in enumerate(answers)))


def analysed(*sheets: AnswerSheet) -> Analysis:
    return analysis_of(Collected(sheets, ()), KEY, passed=0.75, seed=0, resamples=50)


def test_the_normalised_scores_of_the_paper() -> None:
    """Of 13 answers to one image, 5 and 4 for the methods give .38 and .31; the rest is same (footnote 2)."""
    words = ["left"] * 5 + ["right"] * 4 + ["same"] * 4
    found = analysed(*(sheet(f"rater{number:02d}", 0, word) for number, word in enumerate(words))).preferences
    assert found is not None
    (pair,) = found.pairs
    assert (pair.a, pair.b, pair.answers, pair.clips) == ("one", "two", 13, 1)
    assert (pair.score_a, pair.score_b, pair.same) == pytest.approx((5 / 13, 4 / 13, 4 / 13))
    assert pair.log_ratio.value == pytest.approx(math.log(5 / 4), abs=1e-5)
    assert [row.score for row in found.methods] == pytest.approx([5 / 13, 4 / 13])


def test_sides_are_turned_back() -> None:
    """In form 1 the first method is on the right."""
    found = analysed(sheet("rater1", 0, "left", "left"), sheet("rater2", 1, "right", "same")).preferences
    assert found is not None
    assert found.methods[0].method == "one"
    assert found.pairs[0].score_a == pytest.approx(1.0 + 0.5)  # clip a whole, half of clip b
    assert found.left_share == pytest.approx(2 / 3)


def test_who_fails_the_checks_is_left_out() -> None:
    careful = sheet("careful", 0, "left", "left", "left", "left", "right")
    careless = sheet("careless", 1, "left", "left", "left", "right", "left")
    found = analysed(careful, careless)
    first, second = found.raters
    assert (first.checks, first.passed, first.repeated, first.same_again, first.excluded) == (2, 2, 1, 1, "")
    assert second.excluded == "passed 1 of 2 checks of attention"
    assert found.answers == 2
    assert any("careless is left out" in sentence for sentence in sentences(found))


def test_whether_the_model_is_right() -> None:
    found = analysed(
        sheet("r1", 2, "yes", "yes"),
        sheet("r2", 2, "yes", "no"),
        sheet("r3", 3, "cannot tell", "yes"),
        sheet("r4", 3, "no", "no"),
    )
    alone, one, two = found.judgements
    assert (alone.method, one.method, two.method) == ("video alone", "one", "two")
    assert (one.answers, one.correct.value, one.yes_if_right.value, one.yes_if_wrong.value) == (4, 0.75, 1.0, 0.5)
    assert (two.answers, two.correct.value, two.yes_if_wrong.value) == (2, 0.5, 0.5)
    assert math.isnan(two.yes_if_right.value)
    assert (alone.answers, alone.correct.value, alone.cannot_tell.value) == (2, 0.0, 0.5)
    assert one.gain.value == 0.75
    assert 0.0 <= one.correct.low <= one.correct.high <= 1.0
    assert found.preferences is None
    assert pair_rows(found) == method_rows(found) == []
    assert judgement_rows(found)[2]["yes if right"] == "–"


def test_clips_that_were_not_shown_do_not_count() -> None:
    found = analysed(sheet("r1", 0, "not shown", "left"))
    assert found.answers == 1
    assert found.preferences is not None
    assert "won or lost every comparison" in found.preferences.note  # it won every comparison
    assert np.isnan(found.preferences.pairs[0].log_ratio.low)
    assert '"low":null' in to_json(found, indent=0)


def test_what_is_not_known_is_not_said() -> None:
    said = list(sentences(analysed(sheet("r1", 0, "same"))))
    assert said[:2] == ["1 rater, 1 answer", "1 rater did not finish; their answers count"]
    assert not any("nan" in sentence for sentence in said)


def test_files_of_the_page_are_analysed_to_the_end(written: WrittenStudy, key: StudyKey, tmp_path: Path) -> None:
    for number in range(6):
        answer_file(tmp_path, written, f"rater{number}", number, prefers(key, "gradcam++" if number else "gradcam"))
    found, votes = analyse(tmp_path, find_key(tmp_path, written.key), resamples=50)
    assert found.preferences is not None
    assert [row.method for row in found.preferences.methods] == ["gradcam++", "gradcam"]
    assert not any(rater.excluded for rater in found.raters)
    assert found.same_again == 1.0
    assert all(row.yes_if_wrong.value == 1.0 for row in found.judgements)
    write_json(tmp_path / "study.json", found)
    write_answers(tmp_path / "answers.csv", votes, key, found)
    rows = list(csv.DictReader((tmp_path / "answers.csv").read_text("utf-8").splitlines()))
    assert len(rows) == sum(rater.answers for rater in found.raters)
    assert {row["preferred"] for row in rows if row["question"] == "which is better" and row["rater"] == "rater3"} == {
        "gradcam++"
    }
    assert {row["left"] for row in rows} >= {"video alone", "gradcam", "gradcam++"}
    assert sum(row["counted"] == "true" for row in rows) == found.answers
    assert json.loads((tmp_path / "study.json").read_text())["preferences"]["pairs"][0]["a"] == "gradcam++"
    assert analyse(tmp_path, key, resamples=50)[0].answers == found.answers  # its own files are no answers


def test_the_key_is_found_or_asked_for(written: WrittenStudy, key: StudyKey, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has none; pass it with --key"):
        find_key(tmp_path, None)
    write_json(tmp_path / "a.key.json", key)
    assert find_key(tmp_path, None) == key
    write_json(tmp_path / "b.key.json", key)
    with pytest.raises(InputError, match=r"a\.key\.json, b\.key\.json"):
        find_key(tmp_path, None)
    with pytest.raises(InputError, match="--passed is 2"):
        analyse(tmp_path, key, passed=2)
    with pytest.raises(InputError, match="--resamples is 1"):
        analyse(tmp_path, key, resamples=1)


def test_the_answers_of_a_rater_keep_their_meaning() -> None:
    first, second = votes_of([sheet("r", 1, "right", "same")], KEY)
    assert (first.outcome, second.outcome) == (0, 2)
    assert first.is_passed is None
