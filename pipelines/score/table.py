"""The scores of a run as arrays: for each column and method, one value per scored clip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vidcam.pipelines.explain.disk_arrays import IN_MEMORY_BYTES, DiskArrays
from vidcam.pipelines.score.columns import FAILED, LEFT_OUT, SCORED, Columns
from vidcam.pipelines.score.store import ResultStore

_PARTS_IN_MEMORY = 64
"""After so many parts the memory of the table is given back."""

_NEEDED = ("clip", "path", "group", "class", "correct", "correct_top5", "windows", "method", "status", "reason")


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """Names of the N scored clips; each field has N items.

    Attributes:
        clip: index in the set.
        path: path as in the manifest.
        group: clips of one group count as one sample.
        class_label: label of the explained class.
        windows: number of scored windows.
    """

    clip: list[int] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    class_label: list[str] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(set(self.group))

    def group_numbers(self) -> NDArray[np.intp]:
        """Number the groups in the order of their names; returns the number of each clip's group, (N,)."""
        return np.unique(np.asarray(self.group, dtype=str), return_inverse=True)[1]

    def extend(self, rows: pa.Table) -> None:
        """Add the clips of some rows; each clip has one row."""
        self.clip.extend(rows["clip"].to_pylist())
        self.windows.extend(rows["windows"].to_pylist())
        for column, texts in (("path", self.path), ("group", self.group), ("class", self.class_label)):
            texts.extend(map(sys.intern, rows[column].to_pylist()))  # equal texts share memory


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """The scores of all clips.

    Attributes:
        methods: names of the methods, then of the controls.
        columns: names of the columns with numbers or flags.
        counts: status → number of clips.
        clips: the scored clips.
        failures: (path, reason) of each clip that failed.
        labelled: number of clips with a label that the model knows, number of those with it as top class, and number
            of those with it among the top five; None for a model of at most five. Clips that were left out count too.
        evidence: method → (T,), mean of its maps in each frame; empty if it was not measured.
    """

    methods: tuple[str, ...]
    columns: tuple[str, ...]
    counts: dict[str, int]
    clips: ClipInfo = field(repr=False)
    failures: list[tuple[str, str]] = field(repr=False)
    labelled: tuple[int, int, int | None]
    evidence: dict[str, NDArray[np.float64]] = field(repr=False)
    _values: dict[str, NDArray[np.float64]] = field(repr=False)
    _disk: DiskArrays = field(repr=False, default_factory=DiskArrays)

    def __repr__(self) -> str:
        return f"ScoreTable({self.n} scored clips, {len(self.methods)} methods, {len(self.columns)} columns)"

    @property
    def n(self) -> int:
        """Number of scored clips."""
        return self.counts[SCORED]

    def values(self, method: str, column: str) -> NDArray[np.float64]:
        """Return a column of a method over the scored clips, (N,); flags are 0 and 1, undefined values are NaN."""
        values = np.array(self._values[column][self.methods.index(method)])
        self._disk.release_memory()
        return values


def score_table(store: ResultStore, columns: Columns, methods: Sequence[str]) -> ScoreTable:
    """Read all parts, one at a time; the numbers of a large set are held in a file, not in memory."""
    numbers = _Numbers(tuple(name for name, kind in columns.items() if kind in ("number", "flag")), methods, store)
    texts = ["evidence"] if "evidence" in columns else []
    counts = dict.fromkeys((SCORED, FAILED, LEFT_OUT), 0)
    clips = ClipInfo()
    failures: list[tuple[str, str]] = []
    evidence: dict[str, NDArray[np.float64]] = {}
    flags: dict[str, list[bool]] = {"correct": [], "correct_top5": []}
    for part in store.tables(list(dict.fromkeys([*_NEEDED, *numbers.names, *texts]))):
        scored, failed, left_out = (part.filter(pc.equal(part["status"], status)) for status in counts)
        first = scored.filter(pc.equal(scored["method"], methods[0]))
        numbers.add(scored, len(first))
        clips.extend(first)
        failures += zip(failed["path"].to_pylist(), failed["reason"].to_pylist(), strict=True)
        for name, of_clips in flags.items():
            of_clips += [flag for rows in (first, left_out) for flag in rows[name].to_pylist() if flag is not None]
        if texts:
            _add_evidence(evidence, scored)
        for status, number in ((SCORED, len(first)), (FAILED, len(failed)), (LEFT_OUT, len(left_out))):
            counts[status] += number
    return ScoreTable(
        methods=tuple(methods),
        columns=numbers.names,
        counts=counts,
        clips=clips,
        failures=failures,
        labelled=(
            len(flags["correct"]),
            sum(flags["correct"]),
            sum(flags["correct_top5"]) if flags["correct_top5"] else None,
        ),
        evidence={name: evidence[name] / counts[SCORED] for name in methods if name in evidence},
        _values=numbers.by_name(),
        _disk=numbers.disk,
    )


class _Numbers:
    """The numbers of all scored clips: in memory, or of a large set in a file.

    Args:
        names: names of the columns.
        methods: names of a clip's rows, in order.
        store: the rows.
    """

    def __init__(self, names: tuple[str, ...], methods: Sequence[str], store: ResultStore) -> None:
        shape = len(names), len(methods), store.done
        self.names, self.disk = names, DiskArrays(store.folder if 8 * prod(shape) > IN_MEMORY_BYTES else None)
        self._values, self._clips, self._parts = self.disk.empty(shape, np.float64), 0, 0

    def add(self, rows: pa.Table, count: int) -> None:
        """Add the rows of some scored clips."""
        clips = slice(self._clips, self._clips + count)
        for values, name in zip(self._values, self.names, strict=True):  # a clip's rows are in the order of the methods
            column = rows[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
            values[:, clips] = column.reshape(count, len(values)).T
        self._clips, self._parts = clips.stop, self._parts + 1
        if self._parts % _PARTS_IN_MEMORY == 0:
            self.disk.release_memory()

    def by_name(self) -> dict[str, NDArray[np.float64]]:
        """Return column → (methods, clips)."""
        return {name: values[:, : self._clips] for name, values in zip(self.names, self._values, strict=True)}


def _add_evidence(sums: dict[str, NDArray[np.float64]], rows: pa.Table) -> None:
    for name, text in zip(rows["method"].to_pylist(), rows["evidence"].to_pylist(), strict=True):
        curve = np.array([float(number) for number in text.split()])
        sums[name] = sums.get(name, 0.0) + curve
