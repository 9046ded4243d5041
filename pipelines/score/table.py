"""All rows of a run as arrays: for each method the values of a column over the scored clips, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vidcam.pipelines.score.columns import FAILED, LEFT_OUT, SCORED, Columns
from vidcam.pipelines.score.store import ResultStore

_FACTS = ("clip", "path", "group", "label", "class", "correct")
_NEEDED = (*_FACTS, "method", "status", "reason")


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """What a summary, the plots and the report are made from.

    Attributes:
        methods: rows of the table, methods before controls.
        columns: names of the columns with numbers, flags among them.
        clips: how many clips there are, by status.
        facts: column → N entries, of the scored clips: clip, path, group, label, class, correct.
        failures: (path, reason) of the clips that failed.
        answers: how many clips have a label that the model knows, and of how many it is the top class; those that were
            left out for their answer count too.
        evidence: method → (T,), the mean course of its maps; empty where it was not measured.
    """

    methods: tuple[str, ...]
    columns: tuple[str, ...]
    clips: dict[str, int]
    facts: dict[str, list[Any]] = field(repr=False)
    failures: list[tuple[str, str]] = field(repr=False)
    answers: tuple[int, int]
    evidence: dict[str, NDArray[np.float64]] = field(repr=False)
    _values: dict[str, NDArray[np.float64]] = field(repr=False)

    @property
    def n(self) -> int:
        """Clips scored."""
        return self.clips[SCORED]

    def values(self, method: str, column: str) -> NDArray[np.float64]:
        """(N,) of a method over the scored clips; flags as 0 and 1, NaN where undefined."""
        rows = self._values[column]
        return np.asarray(rows[self.methods.index(method)])


def score_table(store: ResultStore, columns: Columns, methods: Sequence[str]) -> ScoreTable:
    """Read all parts, one at a time; memory is one number for each clip, method and column."""
    numbers = tuple(name for name, kind in columns.items() if kind in ("number", "flag"))
    filled = _Filled(store.done, numbers, tuple(methods), has_courses="evidence" in columns)
    wanted = [*_NEEDED, *numbers, *(["evidence"] if "evidence" in columns else [])]
    for part in store.tables(list(dict.fromkeys(wanted))):
        filled.add(part)
    return filled.table()


class _Filled:
    """What of the table is read so far, in arrays that are made once for the whole set."""

    def __init__(self, clips: int, numbers: tuple[str, ...], methods: tuple[str, ...], *, has_courses: bool) -> None:
        self._methods, self._numbers, self._has_courses = methods, numbers, has_courses
        self._values = np.empty((len(numbers), len(methods), clips))
        self._clips = dict.fromkeys((SCORED, FAILED, LEFT_OUT), 0)
        self._facts: dict[str, list[Any]] = {name: [] for name in _FACTS}
        self._failures: list[tuple[str, str]] = []
        self._courses: dict[str, NDArray[np.float64]] = {}
        self._answers = [0, 0]
        self._texts: dict[str, str] = {}

    def add(self, part: pa.Table) -> None:
        """File a part."""
        is_row, is_failed, is_left_out = (pc.equal(part["status"], status) for status in (SCORED, FAILED, LEFT_OUT))
        rows, failed = part.filter(is_row), part.filter(is_failed)
        first = rows.filter(pc.equal(rows["method"], self._methods[0]))
        done, count = self._clips[SCORED], len(first)
        for place, name in enumerate(self._numbers):  # a clip's rows follow each other in the order of the methods
            column = rows[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            self._values[place, :, done : done + count] = column.reshape(count, len(self._methods)).T
        for name in _FACTS:
            self._facts[name] += map(self._shared, first[name].to_pylist())
        self._failures += zip(failed["path"].to_pylist(), failed["reason"].to_pylist(), strict=True)
        self._add_answers(first["correct"].to_pylist() + part.filter(is_left_out)["correct"].to_pylist())
        if self._has_courses:
            self._add_courses(rows)
        for status, number in ((SCORED, count), (FAILED, len(failed)), (LEFT_OUT, pc.sum(is_left_out).as_py() or 0)):
            self._clips[status] += number

    def _shared(self, value: Any) -> Any:
        """Texts that are often there are kept once."""
        return self._texts.setdefault(value, value) if isinstance(value, str) else value

    def _add_answers(self, correct: Sequence[bool | None]) -> None:
        known = [is_correct for is_correct in correct if is_correct is not None]
        self._answers = [self._answers[0] + len(known), self._answers[1] + sum(known)]

    def _add_courses(self, rows: pa.Table) -> None:
        names = rows["method"].to_pylist()
        for name, text in zip(names, rows["evidence"].to_pylist(), strict=True):
            course = np.array([float(part) for part in text.split()])
            self._courses[name] = self._courses.get(name, 0.0) + course

    def table(self) -> ScoreTable:
        """All that was filed."""
        count = self._clips[SCORED]
        return ScoreTable(
            methods=self._methods,
            columns=self._numbers,
            clips=self._clips,
            facts=self._facts,
            failures=self._failures,
            answers=(self._answers[0], self._answers[1]),
            evidence={name: self._courses[name] / count for name in self._methods if name in self._courses},
            _values={name: self._values[place, :, :count] for place, name in enumerate(self._numbers)},
        )
