"""Answers of raters: check them, and read them from the files that the page saved and from the server's database."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.pipelines.trust.content import KEY_ENDING, StudyKey
from vidcam.pipelines.trust.storage import AnswerStore
from vidcam.system.filenames import as_text
from vidcam.system.json_files import from_json, read_regular

NOT_SHOWN = "not shown"
"""Answer where the browser could not play the clip."""

PAIR_ANSWERS, SINGLE_ANSWERS = ("left", "right", "same"), ("yes", "no", "cannot tell")


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer as the page gives it.

    Attributes:
        screen: place in the rater's form.
        item: index of the question; None: as the form says.
        swapped: whether left and right were swapped; None: as the form says.
        answer: `left`, `right`, `same`; `yes`, `no`, `cannot tell`; or `not shown`.
        seconds: from the moment when the clip could be seen to the answer.
    """

    screen: int
    answer: str
    seconds: float
    item: int | None = None
    swapped: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerSheet:
    """The answers of one rater."""

    study: str
    rater: str
    form: int
    answers: tuple[AnswerRow, ...]


def answer_problem(row: AnswerRow, form: Sequence[int], kinds: Sequence[str]) -> str:
    """Say what is wrong with an answer; '' if nothing is.

    Args:
        row: the answer.
        form: the questions of the rater, see `design.Design`.
        kinds: kind of each question.
    """
    if not 0 <= row.screen < len(form):
        return f"question {row.screen} is not in the form"
    item, swapped = divmod(form[row.screen], 2)
    if row.item not in (None, item) or row.swapped not in (None, swapped):
        return f"question {row.screen} of the form is another one"
    allowed = SINGLE_ANSWERS if kinds[item] == "single" else PAIR_ANSWERS
    if row.answer not in (*allowed, NOT_SHOWN):
        return f"the answer is {row.answer[:20]!r}"
    return "" if 0.0 <= row.seconds < 1e6 else f"it took {row.seconds} seconds"


@dataclass(frozen=True, slots=True)
class Collected:
    """The answers of all raters, each question once.

    Attributes:
        sheets: one for each rater, with the answers in the order of the form.
        notes: what was skipped, and why.
    """

    sheets: tuple[AnswerSheet, ...]
    notes: tuple[str, ...]


def collect_answers(folder: Path, key: StudyKey) -> Collected:
    """Read all answers in a folder: `.json` and `.csv` of the page, `.sqlite` of the server.

    An answer may be in several files. If they differ, that of the newest file counts.

    Raises:
        InputError: the folder does not exist, or has no answers of this study.
    """
    if not folder.is_dir():
        raise InputError(f"'{folder}' is no folder; put the files of answers into one and pass it")
    files = [path for path in folder.rglob("*") if path.suffix in _READERS and not path.name.endswith(KEY_ENDING)]
    forms: dict[str, int] = {}
    answers: dict[str, dict[int, AnswerRow]] = {}
    kinds, notes = [item.kind for item in key.items], list[str]()
    for path in sorted(files, key=lambda file: (file.stat().st_mtime, file.name)):
        try:
            sheets = _READERS[path.suffix](path)
        except (InputError, OSError, ValueError, csv.Error, sqlite3.Error) as exc:
            notes.append(f"{as_text(path.name)} was skipped: it has no answers ({first_line(exc)})")
            continue
        for sheet in sheets:
            problem = _sheet_problem(sheet, key, forms)
            rows = (
                []
                if problem
                else [row for row in sheet.answers if not answer_problem(row, key.forms[sheet.form], kinds)]
            )
            if problem or len(rows) < len(sheet.answers):
                lost = problem or f"{len(sheet.answers) - len(rows)} answers are not of its form"
                notes.append(f"{as_text(path.name)}, rater {sheet.rater[:40]}: {lost}")
            if rows:
                forms[sheet.rater] = sheet.form
                answers.setdefault(sheet.rater, {}).update((row.screen, row) for row in rows)
    if not answers:
        raise InputError(f"'{folder}' has no answers of study {key.study}; {notes[0] if notes else 'it has no file'}")
    sheets = [AnswerSheet(key.study, r, forms[r], tuple(rows[k] for k in sorted(rows))) for r, rows in answers.items()]
    return Collected(tuple(sorted(sheets, key=lambda sheet: sheet.rater)), tuple(notes))


def _sheet_problem(sheet: AnswerSheet, key: StudyKey, forms: Mapping[str, int]) -> str:
    if sheet.study != key.study:
        return f"it is of study {sheet.study[:40]}, the key is of {key.study}"
    if not 0 <= sheet.form < len(key.forms):
        return f"form {sheet.form} does not exist"
    known = forms.get(sheet.rater, sheet.form)
    return "" if known == sheet.form else f"it has form {sheet.form}, but another file has form {known}"


def _from_json(path: Path) -> list[AnswerSheet]:
    return [from_json(read_regular(path), AnswerSheet)]


def _from_csv(path: Path) -> list[AnswerSheet]:
    sheets: dict[tuple[str, str, str], list[AnswerRow]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"study", "rater", "form", "screen", "answer"} <= set(reader.fieldnames or ()):
            raise ValueError("it needs the columns study, rater, form, screen and answer")
        for row in reader:
            answer = msgspec.convert({k: v for k, v in row.items() if v}, AnswerRow, strict=False)
            sheets.setdefault((row["study"], row["rater"], row["form"]), []).append(answer)
    return [AnswerSheet(study, rater, int(form), tuple(rows)) for (study, rater, form), rows in sheets.items()]


def _from_database(path: Path) -> list[AnswerSheet]:
    with AnswerStore(path) as store:
        return [
            AnswerSheet(store.study, rater, form, tuple(AnswerRow(*row) for row in rows))
            for rater, form, rows in store.sheets()
        ]


_READERS: Mapping[str, Callable[[Path], list[AnswerSheet]]] = MappingProxyType(
    {".json": _from_json, ".csv": _from_csv, ".sqlite": _from_database}
)
