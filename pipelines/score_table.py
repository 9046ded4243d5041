"""All rows of a run as arrays: for each method the values of a column over the scored clips, in one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vidcam.pipelines.parts import Parts
from vidcam.pipelines.score_columns import FAILED, LEFT_OUT, SCORED, Columns

_NEEDED = ("clip", "path", "group", "label", "class", "correct", "method", "status", "reason")


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """What a summary, the plots and the report are made from.

    Attributes:
        methods: rows of the table, methods before controls.
        columns: names of the columns with numbers, flags among them.
        clips: how many clips there are, by status.
        facts: column → N entries, of the scored clips: clip, path, group, label, class, correct.
        failures: (path, reason) of the clips that failed.
        evidence: method → (T,), the mean course of its maps; empty where it was not measured.
    """

    methods: tuple[str, ...]
    columns: tuple[str, ...]
    clips: dict[str, int]
    facts: dict[str, list[Any]] = field(repr=False)
    failures: list[tuple[str, str]] = field(repr=False)
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


def score_table(parts: Parts, columns: Columns, methods: Sequence[str]) -> ScoreTable:
    """Read all parts; memory is one number for each clip, method and column."""
    table = parts.table(_NEEDED)
    is_row, is_failed, is_left_out = (pc.equal(table["status"], status) for status in (SCORED, FAILED, LEFT_OUT))
    first = table.filter(pc.and_(is_row, pc.equal(table["method"], methods[0])))
    numbers = tuple(name for name, kind in columns.items() if kind in ("number", "flag"))
    failed = table.filter(is_failed)
    return ScoreTable(
        methods=tuple(methods),
        columns=numbers,
        clips={SCORED: len(first), FAILED: len(failed), LEFT_OUT: int(pc.sum(is_left_out).as_py() or 0)},
        facts={name: first[name].to_pylist() for name in ("clip", "path", "group", "label", "class", "correct")},
        failures=list(zip(failed["path"].to_pylist(), failed["reason"].to_pylist(), strict=True)),
        evidence=_evidence(parts, methods) if "evidence" in columns else {},
        _values=_arrays(parts.table(numbers), is_row, len(methods)),
    )


def _arrays(table: pa.Table, is_row: pa.ChunkedArray, methods: int) -> dict[str, NDArray[np.float64]]:
    """Column → (methods, N): a clip's rows follow each other in the order of the methods."""
    kept = table.filter(is_row)
    return {
        name: kept[name].cast(pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, methods).T
        for name in kept.column_names
    }


def _evidence(parts: Parts, methods: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    table = parts.table(("method", "evidence"))
    kept = table.filter(table["evidence"].is_valid())
    names = np.asarray(kept["method"].to_pylist(), dtype=str)
    courses = np.array([[float(part) for part in text.split()] for text in kept["evidence"].to_pylist()])
    return {method: courses[names == method].mean(axis=0) for method in methods if (names == method).any()}
