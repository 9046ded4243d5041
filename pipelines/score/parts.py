"""Read the Parquet parts of a run: their names, columns, rows and the clips that they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vidcam.errors import OutputError
from vidcam.foreign import first_line
from vidcam.pipelines.score.columns import INTERNAL_COLUMNS, Columns

MAX_ROWS_PER_CLIP = 1000

_TYPES = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}
_PART_NAME = re.compile(r"part-(\d{8})-(\d{8})\.parquet")


def part_schema(columns: Columns) -> pa.Schema:
    """Return the columns of the parts: those of the table, and the internal ones."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in {**columns, **INTERNAL_COLUMNS}.items()])


def parts_in(folder: Path) -> list[Path]:
    """Return the parts of a folder, in the order of their clips."""
    return sorted(path for path in folder.glob("part-*.parquet") if _PART_NAME.fullmatch(path.name))


def clips_of(path: Path) -> tuple[int, int]:
    """Return the first clip of a part, and the one after its last; its name says both."""
    match = _PART_NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1]), int(match[2])


@contextmanager
def part_errors(path: Path) -> Iterator[None]:
    """Convert the errors of reading a part in the block.

    Raises:
        OutputError: the part is damaged.
    """
    try:
        yield
    except OutputError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, MemoryError, OverflowError) as exc:
        raise OutputError(f"{path} is damaged ({first_line(exc)}); pass --overwrite to start again") from exc


def read_part(path: Path, names: Sequence[str] | None = None) -> pa.Table:
    """Read a part, or some columns of it."""
    with part_errors(path), pq.ParquetFile(path) as file:  # faster than `read_table`, which plans for a folder
        return file.read(None if names is None else list(names), use_threads=False)


def end_of_parts(folder: Path, schema: pa.Schema, first: int = 0) -> int:
    """Check the parts of a folder, and return the index after their last clip.

    Args:
        folder: the parts.
        schema: their columns.
        first: index of the first clip of the run; above 0 for a shard.

    Raises:
        OutputError: a part is missing or damaged, or has other columns or clips than it should.
    """
    done = first
    for path in parts_in(folder):
        done = check_part(path, schema, done)
    return done


def check_part(path: Path, schema: pa.Schema, first: int) -> int:
    """Check a part that begins with the clip `first`, and return the index after its last clip.

    Raises:
        OutputError: it begins with another clip, is damaged, or has other columns or clips than it should.
    """
    begin, last = clips_of(path)
    if begin != first:
        raise OutputError(f"{path.parent} lacks the part of clips {first} to {begin}; pass --overwrite to start again")
    with part_errors(path):
        metadata = pq.read_metadata(path)
        if not metadata.schema.to_arrow_schema().equals(schema):
            raise ValueError("it has other columns")
        if metadata.num_rows > (last - begin) * MAX_ROWS_PER_CLIP:
            raise ValueError(f"it has {metadata.num_rows} rows")
        clips = [clip for clip, _ in groupby(read_part(path, ("clip",))["clip"].to_pylist())]
        if clips != list(range(begin, last)):
            raise ValueError(f"it has {len(clips)} clips")
    return last
