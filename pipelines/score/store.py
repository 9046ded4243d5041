"""The rows that are scored so far: Parquet parts in OUT/scores, each complete, and the settings they were made with.

A part holds the rows of clips [first, last) of the set and is named after them. Parts follow each other without a gap:
an interrupted run resumes after the last complete part. Other settings are refused: rows that were made differently do
not belong in one table.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
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
from vidcam.pipelines.score.columns import FAILED, UNSEEN, Columns, Row
from vidcam.pipelines.score.settings import Choices, Provenance, Settings, read_settings, require_same
from vidcam.system.atomic import PART_ENDING, atomic_write
from vidcam.system.fingerprint import source_fingerprint
from vidcam.system.json_files import write_json
from vidcam.system.signals import defer_signals

CLIPS_A_PART, SECONDS_A_PART = 16, 20.0
"""A part is written after so many clips, or once it has taken so long."""

_TYPES = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}
PICTURES = ("retention.png", "relative.png", "alpha.png", "classes.png", "evidence.png", "sanity.png")
RESULTS = ("scores.csv", "summary.json", "report.md", *PICTURES, "worst")
"""What is made from the parts, beside their folder."""

_NAME = re.compile(r"part-(\d{8})-(\d{8})\.parquet")


class ResultStore:
    """The rows of one run; `open_store` opens it.

    Attributes:
        settings: as stated beside the parts, with what scored them.
        done: clips that are filed.
    """

    def __init__(self, folder: Path, settings: Settings, columns: Columns) -> None:
        self._folder, self.settings = folder, settings
        self._schema = pa.schema([(name, _TYPES[kind]) for name, kind in {**columns, **UNSEEN}.items()])
        self._rows: list[Mapping[str, Any]] = []
        self.done = _contiguous(folder)
        self._first = self.done
        self._since = time.monotonic()

    def add(self, rows: Sequence[Row]) -> None:
        """File all rows of the next clip; a part that is full is written."""
        with defer_signals():  # a clip whose rows are filed and that is not counted would be scored twice
            self._rows += rows
            self.done += 1
        if self.done - self._first >= CLIPS_A_PART or time.monotonic() - self._since >= SECONDS_A_PART:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting as a part."""
        if self._rows:
            self._write(self._folder / f"part-{self._first:08}-{self.done:08}.parquet", self._rows)
        self._rows, self._first, self._since = [], self.done, time.monotonic()

    def _write(self, path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        table = pa.Table.from_pylist(rows, schema=self._schema)
        with atomic_write(path, sync=True) as unfinished:
            pq.write_table(table, unfinished)

    def rows(self) -> Iterator[Row]:
        """Every row that is written, in order, a part at a time."""
        for path in _parts(self._folder):
            yield from _read_part(path).to_pylist()

    def tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of all that is written, in order, a part at a time."""
        return (_read_part(path, names) for path in _parts(self._folder))

    def require_unchanged(self, entries: Sequence[Entry]) -> None:
        """Refuse a set of which a file is not the one that was scored; one that is gone is not looked for.

        Raises:
            OutputError: the first such file.
        """
        mark = lru_cache(maxsize=4096)(source_fingerprint)  # windows of one video are many clips
        for clip, content in self._contents():
            now = mark(entries[clip].source)
            if now and now != content:
                raise OutputError(
                    f"{entries[clip].name} is not the file that was scored: its content has changed, expected the "
                    f"same clips to go on; put it back, choose another folder with -o, or pass --overwrite to begin "
                    f"anew"
                )

    def _contents(self) -> Iterator[tuple[int, str]]:
        """Of each clip that could be read, its place in the set and the mark of its file."""
        last = -1
        for part in self.tables(("clip", "content")):
            if "content" not in part.column_names:  # a part of before marks were kept
                continue
            for clip, content in zip(part["clip"].to_pylist(), part["content"].to_pylist(), strict=True):
                if content and clip != last:
                    yield clip, content
                last = clip

    def failed(self) -> dict[Path, list[int]]:
        """The parts that have clips that failed, and the places of those."""
        found = {}
        for path in _parts(self._folder):
            part = _read_part(path, ("clip", "status"))
            if clips := part.filter(pc.equal(part["status"], FAILED))["clip"].to_pylist():
                found[path] = clips
        return found

    def replace(self, path: Path, fresh: Mapping[int, Sequence[Row]]) -> None:
        """Write a part again whole, with other rows for some of its clips."""
        former = groupby(_read_part(path).to_pylist(), key=lambda row: int(row["clip"]))
        self._write(path, [row for clip, rows in former for row in fresh.get(clip, rows)])

    def note_provenance(self, now: Provenance) -> None:
        """State that `now` scores the clips from here on, if that is not stated already."""
        former = self.settings.made_with
        if not former or replace(former[-1], from_clip=0) != replace(now, from_clip=0):
            self.settings = replace(self.settings, made_with=(*former, replace(now, from_clip=self.done)))
            write_json(self._folder / "settings.json", self.settings, sync=True)

    @property
    def last_batch_size(self) -> int | None:
        """The batch size that the last clip ended with, of those that have one; None of a run that begins."""
        for path in reversed(_parts(self._folder)):
            sizes = _read_part(path, ["batch_size"])["batch_size"].to_pylist()
            if (last := next((size for size in reversed(sizes) if size is not None), None)) is not None:
                return int(last)
        return None


def require_usable(out: Path, choices: Choices, *, overwrite: bool) -> Settings | None:
    """Check a folder before a model is loaded: it is writable, free or of the same settings. Nothing is touched.

    Args:
        out: need not be there.
        choices: the settings that are known already.
        overwrite: whether a run begins anew, whatever is there.

    Returns:
        The settings of the scores that are gone on with; None of a run that begins.

    Raises:
        OutputError: as `open_store` would raise it later.
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
                _hold(lock, out)
        return None if overwrite else _require_same_or_free(out, choices)


@contextmanager
def open_store(out: Path, settings: Settings, columns: Columns, *, overwrite: bool) -> Iterator[ResultStore]:
    """Begin in a folder, or go on in it; one run at a time.

    Args:
        out: made if it is not there.
        settings: everything that changes a number; compared with those of the rows that are there.
        columns: of the table.
        overwrite: begin anew whatever is there.

    Raises:
        OutputError: the folder holds scores of other settings or files in the way, another run writes to it, or it
            cannot be written to.
    """
    folder = out / "scores"
    with _folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w", encoding="utf-8")
    with lock:
        with _folder_errors(folder):
            _hold(lock, out)
            if overwrite:
                _clear(folder)
            former = _require_same_or_free(out, settings)
            if former is None:
                write_json(folder / "settings.json", settings, sync=True)
            for path in folder.glob(f".*{PART_ENDING}*"):  # a part in the making
                path.unlink()
        yield ResultStore(folder, former or settings, columns)


@contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    """In the block a folder is looked at or begun in.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
    except OSError as exc:
        raise OutputError(
            f"{exc.filename or folder} cannot be written ({exc.strerror}), expected a folder with room; choose "
            f"another with -o"
        ) from exc


def _hold(lock: IO[str], out: Path) -> None:
    """Lock a file that one process at a time holds; its end, however it comes, lets go of it."""
    try:
        import fcntl
    except ImportError:  # not a Unix
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise OutputError(
            f"{out} is being written to by another vidcam score, expected a folder of its own for each run; wait for "
            f"it, or choose another with -o"
        ) from exc


def _require_same_or_free(out: Path, now: Choices) -> Settings | None:
    """The settings of the folder's scores, which agree with those of now; None of a folder without scores."""
    folder = out / "scores"
    former = read_settings(folder / "settings.json")
    if former is not None:
        require_same(out, former, now)
        return former
    in_the_way = [*folder.glob("part-*.parquet"), *(out / name for name in RESULTS if (out / name).exists())]
    if in_the_way:
        raise OutputError(
            f"{in_the_way[0]} is there without the settings that it was made with, expected a free folder; pass "
            f"--overwrite to begin anew, or choose another folder with -o"
        )
    return None


def _clear(folder: Path) -> None:
    """Delete the parts, the settings first: parts without them are in the way and not gone on with.

    The overlays go before them, and only beside settings: any other folder of that name is somebody's.
    """
    stated = folder / "settings.json"
    if stated.exists():
        shutil.rmtree(folder.parent / "worst", ignore_errors=True)
    stated.unlink(missing_ok=True)
    for path in (*_parts(folder), folder / "sanity.json"):
        path.unlink(missing_ok=True)
    for name in RESULTS[:-1]:
        (folder.parent / name).unlink(missing_ok=True)


def _parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("part-*.parquet") if _NAME.fullmatch(path.name))


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """In the block a part is read.

    Raises:
        OutputError: it is damaged.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as exc:
        raise OutputError(
            f"{path} is damaged ({str(exc).splitlines()[0]}), expected a part of the scores; pass --overwrite to begin "
            f"anew"
        ) from exc


def _read_part(path: Path, names: Sequence[str] | None = None) -> pa.Table:
    with _sound(path), pq.ParquetFile(path) as file:  # `read_table` plans for a whole folder of files, at a price
        return file.read(None if names is None else list(names), use_threads=False)


def _contiguous(folder: Path) -> int:
    """Up to which clip there are parts.

    Raises:
        OutputError: one is missing in between, or cut off.
    """
    done = 0
    for path in _parts(folder):
        match = _NAME.fullmatch(path.name)
        assert match is not None
        first, last = int(match[1]), int(match[2])
        if first != done:
            raise OutputError(
                f"{folder} lacks the part of clips {done} to {first}, expected parts without a gap; pass --overwrite "
                f"to begin anew"
            )
        with _sound(path):
            pq.read_metadata(path)
        done = last
    return done
