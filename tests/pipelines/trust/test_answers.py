"""Reading answers: JSON, CSV and databases of one study, twice, damaged, or of another study."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers.studies import answer_file, prefers
from vidcam.errors import InputError
from vidcam.pipelines.trust.answers import AnswerRow, answer_problem, collect_answers
from vidcam.pipelines.trust.content import StudyKey
from vidcam.pipelines.trust.make import WrittenStudy
from vidcam.pipelines.trust.storage import AnswerStore


def as_csv(path: Path) -> Path:
    """Write the CSV that the page saves beside a JSON."""
    sheet = json.loads(path.read_text())
    lines = ["study,rater,form,screen,item,swapped,answer,seconds"]
    whose = (sheet["study"], sheet["rater"], sheet["form"])
    lines += [",".join(str(value) for value in (*whose, *row.values())) for row in sheet["answers"]]
    made = path.with_suffix(".csv")
    made.write_text("\r\n".join([*lines, ""]))
    return made


def test_json_csv_and_database_say_the_same(written: WrittenStudy, key: StudyKey, tmp_path: Path) -> None:
    path = answer_file(tmp_path, written, "rater1", 1, prefers(key, "gradcam"))
    (from_json,) = collect_answers(tmp_path, key).sheets
    as_csv(path)
    path.unlink()
    assert collect_answers(tmp_path, key).sheets == (from_json,)
    for file in tmp_path.iterdir():
        file.unlink()
    with AnswerStore(tmp_path / "a.sqlite", key.study) as store:
        store.save("rater1", 1, [(row.screen, row.answer, row.seconds) for row in from_json.answers])
    (from_database,) = collect_answers(tmp_path, key).sheets
    assert [(row.screen, row.answer) for row in from_database.answers] == [
        (row.screen, row.answer) for row in from_json.answers
    ]


def test_an_answer_in_two_files_counts_once_and_the_newest_wins(
    written: WrittenStudy, key: StudyKey, tmp_path: Path
) -> None:
    path = answer_file(tmp_path, written, "rater1", 0, prefers(key, "gradcam"))
    later = json.loads(path.read_text())
    later["answers"] = [{**later["answers"][0], "answer": "no"}]
    (tmp_path / "again.json").write_text(json.dumps(later))
    os.utime(path, (1, 1))
    (sheet,) = collect_answers(tmp_path, key).sheets
    assert len(sheet.answers) == len(key.forms[0])
    assert sheet.answers[0].answer == "no"


def test_foreign_and_damaged_files_are_told(written: WrittenStudy, key: StudyKey, tmp_path: Path) -> None:
    path = answer_file(tmp_path, written, "rater1", 0, prefers(key, "gradcam"))
    sheet = json.loads(path.read_text())
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    (tmp_path / "d.sqlite").write_bytes(b"no database at all" * 100)
    (tmp_path / "e.json").write_text(json.dumps({**sheet, "study": "another"}))
    (tmp_path / "f.json").write_text(json.dumps({**sheet, "rater": "rater2", "form": 99}))
    (tmp_path / "g.json").write_text(json.dumps({**sheet, "form": 1}))
    wrong = [{**sheet["answers"][0], "answer": "left"}, {**sheet["answers"][1], "item": 0, "swapped": 1}]
    (tmp_path / "h.json").write_text(json.dumps({**sheet, "rater": "rater3", "answers": wrong}))
    os.utime(path, (1, 1))
    collected = collect_answers(tmp_path, key)
    assert [each.rater for each in collected.sheets] == ["rater1"]
    text = "\n".join(collected.notes)
    for part in ("b.json", "c.csv", "d.sqlite", "study another", "form 99", "another file has form 0", "2 answers"):
        assert part in text
    assert len(collected.notes) == 7


@pytest.mark.parametrize("table", ["other", "study"])
def test_a_foreign_database_is_left_as_it_is(table: str, written: WrittenStudy, key: StudyKey, tmp_path: Path) -> None:
    answer_file(tmp_path, written, "rater1", 0, prefers(key, "gradcam"))
    with closing(sqlite3.connect(tmp_path / "d.sqlite")) as connection, connection:
        connection.execute(f"CREATE TABLE {table} AS SELECT ? AS study, 'x' AS token", (key.study,))
    before = (tmp_path / "d.sqlite").read_bytes()
    (note,) = collect_answers(tmp_path, key).notes
    assert note.startswith("d.sqlite was skipped")
    assert (tmp_path / "d.sqlite").read_bytes() == before


def test_no_answers_is_an_error(key: StudyKey, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no answers of study"):
        collect_answers(tmp_path, key)
    with pytest.raises(InputError, match="is no folder"):
        collect_answers(tmp_path / "none", key)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (AnswerRow(0, "yes", 1.0), ""),
        (AnswerRow(0, "not shown", 1.0), ""),
        (AnswerRow(1, "same", 1.0, 1, 1), ""),
        (AnswerRow(2, "yes", 1.0), "question 2 is not in the form"),
        (AnswerRow(-1, "yes", 1.0), "question -1 is not in the form"),
        (AnswerRow(0, "same", 1.0), "the answer is 'same'"),
        (AnswerRow(1, "same", 1.0, 1, 0), "question 1 of the form is another one"),
        (AnswerRow(0, "yes", -1.0), "it took -1.0 seconds"),
        (AnswerRow(0, "yes", float("nan")), "it took nan seconds"),
    ],
)
def test_an_answer_must_fit_its_question(row: AnswerRow, problem: str) -> None:
    assert answer_problem(row, (0, 3), ("single", "pair")) == problem
