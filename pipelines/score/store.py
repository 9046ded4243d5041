"""The rows scored so far: Parquet parts in OUT/scores, and the settings of the run.

A part has the rows of the clips [first, last) of the set, and its name says which. Parts follow each other without a
gap. An interrupted run resumes after the last complete part, and only with the same settings.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vidcam.errors import OutputError
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.columns import FAILED, LEFT_OUT, SCORED, Columns, Row
from vidcam.pipelines.score.parts import (
    check_part,
    clips_of,
    end_of_parts,
    part_errors,
    part_schema,
    parts_in,
    read_part,
)
from vidcam.pipelines.score.settings import PartialSettings, Provenance, Settings, read_settings, require_same
from vidcam.system.atomic import PART_ENDING, atomic_write
from vidcam.system.fingerprint import source_fingerprint
from vidcam.system.json_files import write_json
from vidcam.system.signals import defer_signals

CLIPS_PER_PART, SECONDS_PER_PART = 16, 20.0
"""A part is written after this number of clips, or after this time."""

_IN_EACH = ("path", "group", "class", "windows")
"""Columns that a scored clip has in each of its rows."""

_CHECKED = ("clip", *_IN_EACH, "method", "status", "batch_size", "evidence")

PLOT_FILES = ("retention.png", "relative.png", "alpha.png", "classes.png", "evidence.png", "sanity.png")
RESULT_FILES = ("scores.csv", "summary.json", "report.md", "report.html", *PLOT_FILES, "worst")
"""Files and folders that are made from the parts; they lie beside the folder of the parts."""


class ResultStore:
    """The rows of one run; `open_store` opens it.

    Attributes:
        folder: folder of the parts.
        settings: the content of settings.json.
        schema: columns of the parts.
        first: index of the first clip; above 0 for a shard.
        done: index of the clip whose rows are added next.
    """

    def __init__(self, folder: Path, settings: Settings, columns: Columns, first: int = 0) -> None:
        self.folder, self.settings = folder, settings
        self.schema, self.first = part_schema(columns), first
        self._rows: list[Mapping[str, Any]] = []
        self.done = end_of_parts(folder, self.schema, first)
        self._first = self.done
        self._since = time.monotonic()

    def add(self, rows: Sequence[Row]) -> None:
        """Add all rows of the next clip. Write a part file if enough clips or time have passed since the last one."""
        with defer_signals():  # an interrupt between the two lines would make the clip be scored twice
            self._rows += rows
            self.done += 1
        if self.done - self._first >= CLIPS_PER_PART or time.monotonic() - self._since >= SECONDS_PER_PART:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are not yet written as a part."""
        if self._rows:
            self._write(self.folder / f"part-{self._first:08}-{self.done:08}.parquet", self._rows)
        self._rows, self._first, self._since = [], self.done, time.monotonic()

    def _write(self, path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        table = pa.Table.from_pylist(rows, schema=self.schema)
        with atomic_write(path, sync=True) as unfinished:
            pq.write_table(table, unfinished)

    def adopt(self, parts: Iterable[Path]) -> None:
        """Copy the parts of shards, in order; parts that were copied before are kept.

        Raises:
            OutputError: a part is missing or damaged.
        """
        for path in parts:
            if clips_of(path)[1] > self.done:
                end = check_part(path, self.schema, self.done)
                with part_errors(path), atomic_write(self.folder / path.name, sync=True) as unfinished:
                    shutil.copyfile(path, unfinished)
                self.done = self._first = end

    def rows(self, names: Iterable[str] | None = None) -> Iterator[Row]:
        """Yield all written rows in order, or some of their columns; one part at a time is in memory."""
        chosen = self.schema.names if names is None else [name for name in names if name in self.schema.names]
        for part in self.tables(chosen):
            yield from part.to_pylist()

    def tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of all parts, in order."""
        return (read_part(path, names) for path in parts_in(self.folder))

    def require_whole(self, entries: Sequence[Entry] | None, row_names: Sequence[str]) -> None:
        """Require that the rows are those of this set: each clip has its path, and its rows or a status.

        Args:
            entries: the clips of the set; None: the paths are not known.
            row_names: the methods and controls of a scored clip, in order.

        Raises:
            OutputError: a part is damaged, or from another set.
        """
        if entries is not None and self.done > len(entries):
            raise OutputError(
                f"{self.folder} has {self.done} clips, the set has {len(entries)}; pass --overwrite to start again"
            )
        lengths: set[int] = set()
        expected = {(SCORED, tuple(row_names)), (FAILED, (None,)), (LEFT_OUT, (None,))}
        for path in parts_in(self.folder):
            with part_errors(path):
                for clip, group in groupby(read_part(path, _CHECKED).to_pylist(), key=lambda row: int(row["clip"])):
                    own = list(group)
                    if entries is not None and {row["path"] for row in own} != {entries[clip].name}:
                        raise ValueError(f"clip {clip} is not {entries[clip].name}")
                    if (own[0]["status"], tuple(row["method"] for row in own)) not in expected:
                        raise ValueError(f"clip {clip} lacks rows")
                    if any(row["status"] != own[0]["status"] or (row["batch_size"] or 1) < 1 for row in own):
                        raise ValueError(f"clip {clip} has rows that contradict each other")
                    if own[0]["status"] == SCORED and any(row[name] is None for row in own for name in _IN_EACH):
                        raise ValueError(f"clip {clip} lacks values")
                    lengths |= {len([*map(float, row["evidence"].split())]) for row in own if row.get("evidence")}
            if len(lengths) > 1:
                raise OutputError(f"{path} is damaged (evidence of {lengths} frames); pass --overwrite to start again")

    def require_unchanged(self, entries: Sequence[Entry]) -> None:
        """Require that no scored file has changed; a file that is gone is not checked.

        Raises:
            OutputError: a file has changed; the message names the first.
        """
        hash_of = lru_cache(maxsize=4096)(source_fingerprint)  # many clips can be windows of one video
        for clip, former_hash in self._content_hashes():
            current_hash = hash_of(entries[clip].source)
            if current_hash and current_hash != former_hash:
                raise OutputError(
                    f"{entries[clip].name} has changed since it was scored; restore it, choose another folder (-o), "
                    f"or pass --overwrite"
                )

    def _content_hashes(self) -> Iterator[tuple[int, str]]:
        """Yield the index and the file hash of each clip that could be read."""
        last = -1
        for part in self.tables(("clip", "content_hash")):
            for clip, content_hash in zip(part["clip"].to_pylist(), part["content_hash"].to_pylist(), strict=True):
                if content_hash and clip != last:
                    yield clip, content_hash
                last = clip

    def failed(self) -> dict[Path, list[int]]:
        """Return the parts with failed clips, and the indices of these clips."""
        failed = {}
        for path in parts_in(self.folder):
            part = read_part(path, ("clip", "status"))
            if clips := part.filter(pc.equal(part["status"], FAILED))["clip"].to_pylist():
                failed[path] = clips
        return failed

    def replace(self, path: Path, new_rows: Mapping[int, Sequence[Row]]) -> None:
        """Write a part again, with new rows for some of its clips."""
        former = groupby(read_part(path).to_pylist(), key=lambda row: int(row["clip"]))
        self._write(path, [row for clip, rows in former for row in new_rows.get(clip, rows)])

    def record_provenance(self, current: Provenance) -> None:
        """Record the versions and the device of the clips from here on, if they have changed."""
        former = self.settings.provenance
        if not former or replace(former[-1], from_clip=0) != replace(current, from_clip=0):
            self.settings = replace(self.settings, provenance=(*former, replace(current, from_clip=self.done)))
            write_json(self.folder / "settings.json", self.settings, sync=True)

    @property
    def last_batch_size(self) -> int | None:
        """The batch size after the last scored clip; None in a new run."""
        for path in reversed(parts_in(self.folder)):
            sizes = read_part(path, ["batch_size"])["batch_size"].to_pylist()
            if (last := next((size for size in reversed(sizes) if size is not None), None)) is not None:
                return int(last)
        return None


def check_folder(out: Path, settings: PartialSettings, *, overwrite: bool) -> Settings | None:
    """Check, before a model is loaded, that a run can start or resume in a folder. Nothing is written.

    Args:
        out: the folder; it may not exist yet.
        settings: the settings that are known without the model.
        overwrite: whether existing results will be replaced.

    Returns:
        The settings of the run to resume; None for a new run.

    Raises:
        OutputError: `open_store` would raise it later.
    """
    folder = out / "scores"
    with _folder_errors(folder):
        nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))
        if (folder / ".lock").exists():
            with (folder / ".lock").open("r+", encoding="utf-8") as lock:
                _lock(lock, out)
        return None if overwrite else _former_settings(out, settings)


@contextmanager
def open_store(
    out: Path, settings: Settings, columns: Columns, *, overwrite: bool, first: int = 0
) -> Iterator[ResultStore]:
    """Start a run in a folder, or resume it; only one run at a time can use a folder.

    Args:
        out: the folder; created if needed.
        settings: must equal those of an earlier run in the folder.
        columns: columns of the table.
        overwrite: replace existing results.
        first: index of the first clip; above 0 for a shard.

    Raises:
        OutputError: the folder has scores with other settings, or results without settings; another run uses it; or
            it cannot be written to.
    """
    folder = out / "scores"
    with _folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w", encoding="utf-8")
    with lock:
        with _folder_errors(folder):
            _lock(lock, out)
            if overwrite:
                _delete_results(folder)
            former = _former_settings(out, settings)
            if former is None:
                write_json(folder / "settings.json", settings, sync=True)
            for path in folder.glob(f".*{PART_ENDING}*"):  # unfinished parts
                path.unlink()
        yield ResultStore(folder, former or settings, columns, first)


@contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    """Turn a file system error inside the `with` block into an OutputError.

    Raises:
        OutputError: the folder cannot be written to.
    """
    try:
        yield
    except OSError as exc:
        raise OutputError(
            f"{exc.filename or folder} cannot be written ({exc.strerror}); choose another folder (-o)"
        ) from exc


def _lock(lock: IO[str], out: Path) -> None:
    """Lock a file for this process; the system unlocks it when the process ends, also if it is killed."""
    try:
        import fcntl
    except ImportError:  # not a Unix
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise OutputError(
            f"{out} is in use by another vidcam score; wait for it, or choose another folder (-o)"
        ) from exc


def _former_settings(out: Path, current: PartialSettings) -> Settings | None:
    """Return the settings of the scores in a folder, which must equal the current ones; None without scores."""
    folder = out / "scores"
    former = read_settings(folder / "settings.json")
    if former is not None:
        require_same(out, former, current)
        return former
    leftovers = [*folder.glob("part-*.parquet"), *(out / name for name in RESULT_FILES if (out / name).exists())]
    if leftovers:
        raise OutputError(
            f"{leftovers[0]} exists, but not the settings of its run; choose another folder (-o), or pass --overwrite"
        )
    return None


def _delete_results(folder: Path) -> None:
    """Delete the results of an earlier run, the settings first: without them no run resumes from the parts.

    The overlays are deleted only if there are settings; without them, the folder `worst` belongs to the user.
    """
    settings = folder / "settings.json"
    if settings.exists():
        shutil.rmtree(folder.parent / "worst", ignore_errors=True)
    settings.unlink(missing_ok=True)
    for path in (*parts_in(folder), folder / "sanity.json", folder / "grid.json", folder / "shard.json"):
        path.unlink(missing_ok=True)
    for name in RESULT_FILES[:-1]:
        (folder.parent / name).unlink(missing_ok=True)
