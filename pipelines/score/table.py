"""All rows of a run as arrays: for each method the values of a column over the scored clips, in one order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vidcam.pipelines.score.columns import FAILED, LEFT_OUT, SCORED, Columns
from vidcam.pipelines.score.store import ResultStore

_NEEDED = ("clip", "path", "group", "class", "correct", "method", "status", "reason")


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What the table says of each scored clip besides numbers, (N,) each.

    Attributes:
        clip: its place in the set.
        path: what it is called.
        group: clips of one group count as one sample.
        explained: the label of the explained class.
    """

    clip: list[int] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)

    def extend(self, rows: pa.Table) -> None:
        """Add the clips of some rows, one row a clip."""
        self.clip.extend(rows["clip"].to_pylist())
        for column, texts in (("path", self.path), ("group", self.group), ("class", self.explained)):
            texts.extend(map(sys.intern, rows[column].to_pylist()))  # what is often there is kept once


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """What a summary, the plots and the report are made from.

    Attributes:
        methods: rows of the table, methods before controls.
        columns: names of the columns with numbers, flags among them.
        clips: how many clips there are, by status.
        facts: which the scored clips are.
        failures: (path, reason) of the clips that failed.
        answers: how many clips have a label that the model knows, and of how many it is the top class; those that were
            left out for their answer count too.
        evidence: method → (T,), the mean course of its maps; empty where it was not measured.
    """

    methods: tuple[str, ...]
    columns: tuple[str, ...]
    clips: dict[str, int]
    facts: ClipFacts = field(repr=False)
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
    texts = ["evidence"] if "evidence" in columns else []
    values = np.empty((len(numbers), len(methods), store.done))
    clips = dict.fromkeys((SCORED, FAILED, LEFT_OUT), 0)
    facts = ClipFacts()
    failures: list[tuple[str, str]] = []
    courses: dict[str, NDArray[np.float64]] = {}
    known = right = 0
    for part in store.tables(list(dict.fromkeys([*_NEEDED, *numbers, *texts]))):
        scored, failed, left_out = (part.filter(pc.equal(part["status"], status)) for status in clips)
        first = scored.filter(pc.equal(scored["method"], methods[0]))
        done, count = clips[SCORED], len(first)
        for place, name in enumerate(numbers):  # a clip's rows follow each other in the order of the methods
            column = scored[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            values[place, :, done : done + count] = column.reshape(count, len(methods)).T
        facts.extend(first)
        failures += zip(failed["path"].to_pylist(), failed["reason"].to_pylist(), strict=True)
        correct = [flag for rows in (first, left_out) for flag in rows["correct"].to_pylist() if flag is not None]
        known, right = known + len(correct), right + sum(correct)
        if texts:
            _add_courses(courses, scored)
        for status, number in ((SCORED, count), (FAILED, len(failed)), (LEFT_OUT, len(left_out))):
            clips[status] += number
    return ScoreTable(
        methods=tuple(methods),
        columns=numbers,
        clips=clips,
        facts=facts,
        failures=failures,
        answers=(known, right),
        evidence={name: courses[name] / clips[SCORED] for name in methods if name in courses},
        _values={name: values[place, :, : clips[SCORED]] for place, name in enumerate(numbers)},
    )


def _add_courses(courses: dict[str, NDArray[np.float64]], rows: pa.Table) -> None:
    for name, text in zip(rows["method"].to_pylist(), rows["evidence"].to_pylist(), strict=True):
        course = np.array([float(number) for number in text.split()])
        courses[name] = courses.get(name, 0.0) + course
