"""Read the set of clips to score: a folder, a manifest (CSV, JSON Lines, Parquet), or a Python iterable.

In a folder, each media file is one clip, or each image if there is no video; subfolders are included, and the files are
sorted. In a manifest, each row is one clip, and relative paths start from the manifest's folder. Its columns are `path`
(or `file`), `start` (seconds; the central window if empty), `label`, `group` (clips of one group are not independent
samples) and `boxes` (`boxes.py` has the format). Other columns are ignored. Addresses that a manifest names are read
only on request; `file://` is a path. Images with boxes may also come in the formats of Pascal VOC (`voc.py`) and COCO
(`coco.py`): there each label of an image is one clip. A row that cannot be used is kept with the reason; the other rows
are scored.
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
from vidcam.foreign import first_line
from vidcam.pipelines.score.boxes import is_json
from vidcam.pipelines.score.coco import coco_rows
from vidcam.pipelines.score.voc import RawRow, is_voc, listed_names, voc_folder, voc_rows
from vidcam.system.filenames import as_text
from vidcam.system.fingerprint import digest_of
from vidcam.system.json_files import read_regular
from vidcam.video.addresses import path_in
from vidcam.video.numbered import IMAGE_SUFFIXES
from vidcam.video.source import exists, is_address

_MEDIA = "3gp apng asf avi flv gif m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv y4m"
SUFFIXES = frozenset(f".{name}" for name in _MEDIA.split())
"""Endings of media files in a folder. A manifest may name any file that `vidcam explain` opens."""

FIELDS = {"path": "path", "file": "path", "start": "start", "label": "label", "group": "group", "boxes": "boxes"}
MANIFESTS = (".csv", ".jsonl", ".parquet")
LABELLED = (".json", ".txt")
"""Annotations of COCO, and a list of the images of a Pascal VOC folder."""

LABEL_IN_TOP = 5
"""Default of `--label-in-top` for the formats in which an image has several labels (GC++ 4.3)."""

MAX_CLIPS, MAX_LETTERS = 1_000_000, 1 << 28
"""Limits of a set."""

_BATCH_ROWS = 64
"""Rows of a Parquet file that are in memory at once: a small file may hold long ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One clip of a set.

    Attributes:
        index: position in the set, from 0.
        source: path or address of the video.
        name: the path in tables: as in the manifest, or relative to the folder.
        start_seconds: start of the window; None for the central window.
        label: the true class, or empty.
        group: clips of one group count as one sample; by default the clip's own name.
        boxes: JSON text, or the path of a JSON file; empty without boxes.
        problem: why the row cannot be used; empty if it can.
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
    """The clips in order.

    Attributes:
        entries: the clips.
        ignored_columns: columns of the manifest that are ignored.
        label_in_top: default of `--label-in-top` for this set.
    """

    entries: tuple[Entry, ...]
    ignored_columns: tuple[str, ...] = ()
    label_in_top: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the fields of all clips and of their box files; the videos themselves are not read."""
        return digest_of(json.dumps(_digest_fields(entry)).encode() for entry in self.entries)


def read_clips(clips: Any, *, out: Path, addresses: bool = False) -> ClipSet:
    """Read the clips of a folder, a manifest or an iterable; the module's docstring has the format.

    Args:
        clips: path of a folder or manifest, or an iterable of paths and of mappings with the manifest's fields.
        out: folder of the results; videos in it are no clips.
        addresses: whether a manifest may name addresses; an iterable may.

    Raises:
        InputError: no clip can be used, the file does not exist, or the manifest cannot be read.
    """
    if isinstance(clips, str | os.PathLike):
        path = Path(clips)
        clip_set, name = _clips_of_path(path, out, addresses=addresses), str(path)
    else:
        clip_set, name = _entries(_python_rows(clips), Path(), addresses=True), "the iterable"
    if not clip_set.entries:
        raise InputError(f"{name} has no clips; pass a folder of videos or a manifest with a column 'path'")
    if all(entry.problem for entry in clip_set.entries):
        raise InputError(f"{name} has no usable clips ({clip_set.entries[0].problem})")
    return clip_set


def _clips_of_path(path: Path, out: Path, *, addresses: bool) -> ClipSet:
    if is_voc(path) or path.suffix.lower() in LABELLED:
        return _labelled_images(path)
    return _folder_clips(path, out) if path.is_dir() else _manifest_clips(path, addresses=addresses)


def _folder_clips(folder: Path, out: Path) -> ClipSet:
    excluded = out.resolve() / "worst" if out.resolve() == folder.resolve() else out.resolve()
    kinds = (*SUFFIXES, *IMAGE_SUFFIXES)
    files = (path for path in folder.rglob("*") if path.suffix.lower() in kinds and path.is_file())
    paths = sorted(
        path.relative_to(folder)
        for path in files
        if excluded not in path.resolve().parents
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    paths = [path for path in paths if path.suffix.lower() in SUFFIXES] or paths
    names = [as_text(path.as_posix()) for path in paths]
    entries = (
        Entry(index, str(folder / path), name, group=name)
        for index, (path, name) in enumerate(zip(paths, names, strict=True))
    )
    return ClipSet(tuple(entries))


def _manifest_clips(path: Path, *, addresses: bool) -> ClipSet:
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        kinds = ", ".join(MANIFESTS + LABELLED)
        raise InputError(f"{path} is neither a folder nor a manifest ({kinds}); for one video, pass its folder")
    try:
        return _entries(reader(path), path.parent, addresses=addresses)
    except InputError:
        raise
    except (OSError, ValueError, ArithmeticError, MemoryError, csv.Error) as exc:
        raise InputError(f"the manifest {path} cannot be read ({first_line(exc)}); it needs a column 'path'") from exc


def _labelled_images(path: Path) -> ClipSet:
    """Read a set in the format of Pascal VOC or COCO."""
    if path.suffix.lower() == ".json":
        folder, rows = coco_rows(path)
    elif path.is_dir():
        folder, rows = path, voc_rows(path)
    else:
        folder, rows = voc_folder(path), voc_rows(voc_folder(path), listed_names(path))
    return replace(_entries(rows, folder, addresses=False), label_in_top=LABEL_IN_TOP)


def _csv_rows(path: Path) -> Iterator[RawRow]:
    csv.field_size_limit(2**31 - 1)  # boxes are long
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in (reader := csv.DictReader(file)):
            yield f"line {reader.line_num}", {key: value for key, value in row.items() if key is not None}


def _json_rows(path: Path) -> Iterator[RawRow]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            is_object = isinstance(row, Mapping)
            yield f"line {number}", row if is_object else "not a JSON object; write one object per line"


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        known_columns = [name for name in file.schema_arrow.names if name in FIELDS]
        for name in file.schema_arrow.names:  # rows without a position only name ignored columns
            if name not in FIELDS:
                yield "", {name: None}
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=known_columns):
            for row in _rows_of(batch):
                number += 1
                yield f"row {number}", row
    except pa.ArrowException as exc:
        raise InputError(f"the manifest {path} is not a valid Parquet file ({first_line(exc)})") from exc


def _rows_of(batch: Any) -> Iterator[Mapping[str, Any] | str]:
    """Yield the rows of an Arrow batch; a value that Python cannot hold, such as a date, costs its row only."""
    for index in range(batch.num_rows):
        try:
            yield batch.slice(index, 1).to_pylist()[0]
        except (ValueError, ArithmeticError) as exc:
            yield f"a value cannot be read ({first_line(exc)})"


def _python_rows(clips: Any) -> Iterator[RawRow]:
    for number, clip in enumerate(clips):
        if isinstance(clip, Mapping):
            yield f"clip {number}", clip
            continue
        try:
            yield f"clip {number}", {"path": os.fspath(clip)}
        except TypeError:
            yield f"clip {number}", f"expected a path or a mapping with 'path', got {type(clip).__name__}"


def _entries(rows: Iterable[RawRow], base: Path, *, addresses: bool) -> ClipSet:
    entries: list[Entry] = []
    ignored: dict[str, None] = {}
    letters = 0
    for position, content in rows:
        row = {} if isinstance(content, str) else content
        ignored.update(dict.fromkeys(as_text(str(name)) for name in row if name not in FIELDS))
        if position:
            fields = {FIELDS[name]: row[name] for name in reversed(FIELDS) if _has_value(row.get(name))}
            problem = content if isinstance(content, str) else ""
            if not (problem or addresses) and _is_address(str(fields.get("path", "")), base):
                problem = "the path is an address; pass --addresses to read those of a manifest"
            entries.append(entry := _entry(len(entries), fields, base, position, problem))
            letters += len(entry.source) + len(entry.label) + len(entry.group) + len(entry.boxes) + len(entry.problem)
            if len(entries) > MAX_CLIPS or letters > MAX_LETTERS:
                raise InputError(
                    f"{position} is too much; a set has at most {MAX_CLIPS} clips in {MAX_LETTERS} letters"
                )
    return ClipSet(_without_common_folder(entries), tuple(ignored))


def _has_value(value: Any) -> bool:
    """Check that a field has a value; None, an empty text and NaN are none, 0 is one."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return not (value is None or is_nan or (isinstance(value, str) and not value))


def _without_common_folder(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Shorten absolute names to the part below their common folder, so that tables have no path of this machine."""
    absolute = [Path(entry.name).parent for entry in entries if Path(entry.name).is_absolute()]
    if not absolute:
        return tuple(entries)
    shared = os.path.commonpath(absolute)
    return tuple(
        replace(
            entry,
            name=(name := Path(os.path.relpath(entry.name, shared)).as_posix()),
            group=name if entry.group == entry.name else entry.group,
        )
        if Path(entry.name).is_absolute()
        else entry
        for entry in entries
    )


def _entry(index: int, row: Mapping[str, Any], base: Path, position: str, problem: str) -> Entry:
    """Make the entry of a row; a row without a path is named after its position."""
    text = str(row.get("path", ""))
    start, boxes = None, ""
    try:
        if problem or not text:
            raise InputError(problem or "the path is missing; fill in the column 'path' or 'file'")
        start, boxes = _start(row.get("start")), _boxes(row.get("boxes", ""), base)
    except InputError as exc:
        problem = f"{position}: {exc}"
    place = str(base / text)
    name = as_text(text or position)
    return Entry(
        index=index,
        source=text if is_address(text) and not exists(place) else place,
        name=name,
        start_seconds=start,
        label=as_text(str(row.get("label", ""))),
        group=as_text(str(row.get("group", name))),
        boxes=boxes,
        problem=as_text(problem),
    )


def _is_address(text: str, base: Path) -> bool:
    """Return whether a path is an address, and neither `file://` nor a file of this name."""
    try:
        return is_address(text) and path_in(text) is None and not exists(str(base / text))
    except InputError:  # opening it says why
        return False


def _start(value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    except OverflowError:
        raise InputError("start is too large; it must be a moment of the video in seconds") from None
    if not 0.0 <= seconds < math.inf:
        raise InputError(f"start is {value!r:.80}; it must be 0 s or more, or empty for the central window")
    return seconds


def _boxes(value: Any, base: Path) -> str:
    if isinstance(value, str):
        return value if not value or is_json(value) else str(base / value)
    try:
        return json.dumps(value, default=lambda array: array.tolist())
    except (AttributeError, TypeError, ValueError, RecursionError) as exc:
        raise InputError(
            f"boxes ({type(value).__name__}) are not JSON ({exc}); pass a list of tubes, JSON text or a file's path"
        ) from exc


def _digest_fields(entry: Entry) -> tuple[object, ...]:
    fields = (entry.name, entry.start_seconds, entry.label, entry.group, _boxes_content(entry.boxes))
    return (*fields, entry.problem) if entry.problem else fields


def _boxes_content(boxes: str) -> str:
    """Return the boxes as text; for a file, the hash of its content, so that its folder does not matter."""
    if not boxes or is_json(boxes):
        return boxes
    try:
        return digest_of([read_regular(Path(boxes))])
    except (OSError, ValueError):  # scoring the clip will report the error
        return as_text(Path(boxes).name)
