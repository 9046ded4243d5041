"""Which clips are scored: a folder, a manifest (CSV, JSON Lines, Parquet), or what Python iterates over.

A folder gives its media files, subfolders included, one clip each, sorted. A manifest gives its rows, in its own order;
relative paths start from its folder. Fields: `path` (or `file`), `start` in seconds, else the central window, `label`,
`group` of clips that are no independent samples, `boxes` as `boxes.py` reads them. Other columns are not read. A row
that cannot be used stays in its place and says why; the others are scored.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vidcam.errors import InputError
from vidcam.pipelines.score.boxes import is_json
from vidcam.system.filenames import as_text
from vidcam.system.fingerprint import digest_of, sha256

_MEDIA = "3gp apng asf avi flv gif m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv y4m"
SUFFIXES = frozenset(f".{name}" for name in _MEDIA.split())
"""What counts as a media file in a folder; a manifest may name anything that `vidcam explain` opens."""

FIELDS = {"path": "path", "file": "path", "start": "start", "label": "label", "group": "group", "boxes": "boxes"}
MANIFESTS = (".csv", ".jsonl", ".parquet")

Said = tuple[str, Mapping[str, Any] | str]
"""Where a row stands, and its fields, or what is wrong with all of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One clip of a set.

    Attributes:
        index: place in the set, from 0.
        source: what is opened.
        name: what it is called in tables: as the manifest has it, relative to the folder.
        start_seconds: of the window; None: the central one.
        label: its true class, or empty.
        group: clips of one group count as one sample; by default the clip itself.
        boxes: JSON text, or the path of a JSON file; empty: none.
        problem: why the row cannot be used; empty: it can.
    """

    index: int
    source: str
    name: str
    start_seconds: float | None = None
    label: str = ""
    group: str = ""
    boxes: str = field(default="", repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ClipSet:
    """Clips in their order, and the columns of the manifest that were not read."""

    entries: tuple[Entry, ...]
    unread: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over everything that is said about the clips, files of boxes included, the videos themselves not."""
        return digest_of(json.dumps(_digested(entry)).encode() for entry in self.entries)


def read_clips(clips: Any, *, out: Path) -> ClipSet:
    """The clips of a folder, a manifest or an iterable; see the module.

    Args:
        clips: path of a folder or manifest, or an iterable of paths and of mappings with the manifest's fields.
        out: where results go; a folder's clips do not include what lies there, or its overlays if it is that folder.

    Raises:
        InputError: there is no clip or no row that can be used, no such file, or a manifest that cannot be read.
    """
    if isinstance(clips, str | os.PathLike):
        path = Path(clips)
        found = _of_folder(path, out) if path.is_dir() else _of_manifest(path)
        what = f"{path} holds no clip"
    else:
        found, what = _entries(_iterated(clips), Path()), "no clip was given"
    if not found.entries:
        raise InputError(f"{what}, expected at least one; pass a folder of videos or a manifest with a column 'path'")
    if all(entry.problem for entry in found.entries):
        raise InputError(f"{what} that can be used ({found.entries[0].problem})")
    return found


def _of_folder(folder: Path, out: Path) -> ClipSet:
    avoided = out.resolve() / "worst" if out.resolve() == folder.resolve() else out.resolve()
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    kept = sorted(
        path.relative_to(folder)
        for path in files
        if avoided not in path.resolve().parents
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    names = [as_text(path.as_posix()) for path in kept]
    entries = (
        Entry(index, str(folder / path), name, group=name)
        for index, (path, name) in enumerate(zip(kept, names, strict=True))
    )
    return ClipSet(tuple(entries))


def _of_manifest(path: Path) -> ClipSet:
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path} is neither a folder nor a manifest, expected one of *{', *'.join(MANIFESTS)}; of a single video "
            f"pass the folder that it lies in"
        )
    try:
        return _entries(reader(path), path.parent)
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InputError(f"{path} cannot be read ({exc}), expected a manifest with a column 'path'; check it") from exc


def _csv_rows(path: Path) -> Iterator[Said]:
    csv.field_size_limit(2**31 - 1)  # boxes are long
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in (reader := csv.DictReader(file)):
            yield f"line {reader.line_num}", {key: value for key, value in row.items() if key is not None}


def _json_rows(path: Path) -> Iterator[Said]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            is_object = isinstance(row, Mapping)
            yield f"line {number}", row if is_object else "no JSON object, expected one a line; correct the line"


def _parquet_rows(path: Path) -> Iterator[Said]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        wanted = [name for name in file.schema_arrow.names if name in FIELDS]
        for name in file.schema_arrow.names:  # named once, so that they are known as not read
            if name not in FIELDS:
                yield "", {name: None}
        number = 0
        for batch in file.iter_batches(columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row
    except pa.ArrowInvalid as exc:
        raise InputError(f"{path} is no Parquet file ({exc}), expected a manifest; check the file") from exc


def _iterated(clips: Any) -> Iterator[Said]:
    for number, clip in enumerate(clips):
        if isinstance(clip, Mapping):
            yield f"clip {number}", clip
            continue
        try:
            yield f"clip {number}", {"path": os.fspath(clip)}
        except TypeError:
            yield f"clip {number}", f"a {type(clip).__name__}, expected a path or a mapping with 'path'; pass one"


def _entries(rows: Iterable[Said], base: Path) -> ClipSet:
    entries: list[Entry] = []
    unread: dict[str, None] = {}
    for place, said in rows:
        row = {} if isinstance(said, str) else said
        unread.update(dict.fromkeys(as_text(str(name)) for name in row if name not in FIELDS))
        if place:
            known = {FIELDS[name]: row[name] for name in reversed(FIELDS) if _is_given(row.get(name))}
            entries.append(_entry(len(entries), known, base, place, said if isinstance(said, str) else ""))
    return ClipSet(_without_common_folder(entries), tuple(unread))


def _is_given(value: Any) -> bool:
    """Whether a field says something: None, nothing and NaN do not, 0 does."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return not (value is None or is_nan or (isinstance(value, str) and not value))


def _without_common_folder(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Absolute paths by what follows the folder that they share: tables name no path of this machine."""
    absolute = [Path(entry.name).parent for entry in entries if Path(entry.name).is_absolute()]
    if not absolute:
        return tuple(entries)
    shared = os.path.commonpath(absolute)
    return tuple(
        replace(
            entry,
            name=(name := Path(entry.name).relative_to(shared).as_posix()),
            group=name if entry.group == entry.name else entry.group,
        )
        if Path(entry.name).is_absolute()
        else entry
        for entry in entries
    )


def _entry(index: int, row: Mapping[str, Any], base: Path, place: str, problem: str) -> Entry:
    """One row; with a problem it keeps its place, under the name of its path or of its place in the manifest."""
    text = str(row.get("path", ""))
    start, boxes = None, ""
    try:
        if problem or not text:
            raise InputError(problem or "no path, expected a column 'path' (or 'file') with a video; fill it in")
        start, boxes = _start(row.get("start")), _boxes(row.get("boxes", ""), base)
    except InputError as exc:
        problem = f"{place}: {exc}"
    is_plain = "://" not in text and not Path(text).is_absolute()
    name = as_text(text or place)
    return Entry(
        index=index,
        source=str(base / text) if is_plain else text,
        name=name,
        start_seconds=start,
        label=as_text(str(row.get("label", ""))),
        group=as_text(str(row.get("group", name))),
        boxes=boxes,
        problem=as_text(problem),
    )


def _start(value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0.0 <= seconds < math.inf:
        raise InputError(f"start is {value!r}, expected seconds from 0 on; leave it empty for the middle")
    return seconds


def _boxes(value: Any, base: Path) -> str:
    if isinstance(value, str):
        return value if not value or is_json(value) else str(base / value)
    try:
        return json.dumps(value, default=lambda array: array.tolist())
    except (AttributeError, TypeError, ValueError) as exc:
        raise InputError(
            f"boxes are {type(value).__name__} and no JSON ({exc}), expected a list of tubes, JSON text or the path "
            f"of a JSON file; correct them"
        ) from exc


def _digested(entry: Entry) -> tuple[object, ...]:
    said = (entry.name, entry.start_seconds, entry.label, entry.group, _content(entry.boxes))
    return (*said, entry.problem) if entry.problem else said


def _content(boxes: str) -> str:
    """Boxes as they count, wherever a file of them lies: what stands in it."""
    if not boxes or is_json(boxes):
        return boxes
    try:
        return sha256(Path(boxes))
    except (OSError, ValueError):  # the clip will fail and say so
        return as_text(Path(boxes).name)
