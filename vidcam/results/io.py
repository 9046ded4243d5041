"""Save and load explanations of clips and of videos: one file format, an `.npz` of plain arrays and one JSON text.

The JSON text `meta` lists the contents. Arrays of the i-th explanation are called `<i>/volumes/<method>`,
`<i>/alpha/<method>/<field>` and so on. Nothing is unpickled. Arrays of MAPPED_BYTES or more are stored uncompressed and
aligned, so that those of a long video can be memory-mapped. Smaller ones are compressed.
"""

from __future__ import annotations

import io
import mmap
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import MediaError
from vidcam.foreign import first_line
from vidcam.geometry import Geometry
from vidcam.results.caption import CaptionTarget
from vidcam.results.explanation import AUDIT_FIELDS, GROUPS, Activation, AlphaAudit, Artifact, Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.validity import require_valid
from vidcam.results.verdict import Verdict, VideoVerdict
from vidcam.results.video import Bounds, Origin, Scale, VideoExplanation
from vidcam.system.atomic import atomic_write
from vidcam.system.json_files import from_json, to_json
from vidcam.system.npy import READ_ERRORS, NpzReader

SCHEMA = 1

MAPPED_BYTES = 1 << 20
PIECE_BYTES = 1 << 20
ALIGNMENT_BYTES = 64

_NAME = re.compile(r"[\w+.@ -]{1,80}")
"""Name of a method; it becomes part of names of arrays and of files."""

_COPIED = ("layer", "input_size", "alpha_exact", "activation", "artifact", "notes")
"""Fields of an explanation that the JSON text holds as they are."""

Arrays = dict[str, NDArray[Any]]
Read = Callable[[str], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _ClipsMeta:
    """An explanation without its arrays; of the groups of arrays it has the names."""

    layer: str
    input_size: tuple[int, ...]
    volumes: tuple[str, ...]
    alpha: tuple[str, ...]
    clamped: tuple[str, ...]
    guided: tuple[str, ...]
    has_contrast: bool
    alpha_exact: bool | None
    activation: Activation
    artifact: Artifact | None
    notes: tuple[str, ...]
    signed: tuple[str, ...] = ()
    completeness: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    factors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for group in ("alpha", *GROUPS):
            names = getattr(self, group)
            if len(set(names)) != len(names) or not all(map(_NAME.fullmatch, names)):
                raise ValueError(f"names of {group} are {str(names)[:80]}")


@dataclass(frozen=True, slots=True)
class _VideoMeta:
    """A video's explanation without its windows; the fields are those of `VideoExplanation` of the same names."""

    source: str
    model: str
    geometry: Geometry
    labels: tuple[str, ...]
    bounds: Bounds
    origin: Origin | None
    class_labels: Mapping[int, str]
    scale: Scale
    verdicts: tuple[Mapping[str, Verdict], ...] = ()  # older files have none
    video_verdict: VideoVerdict | None = None
    captions: tuple[CaptionTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class _Meta:
    """Everything in a file except its arrays; `video` is null for clips."""

    schema: int
    explanations: tuple[_ClipsMeta, ...]
    video: _VideoMeta | None


@dataclass(frozen=True, slots=True)
class _Schema:
    schema: int


def save(result: Explanation | VideoExplanation, path: str | Path, *, overwrite: bool = False) -> None:
    """Save an explanation to a file, completely or not at all. Memory use does not grow with its length.

    The path of a video's `origin` is written relative to the folder of the file.

    Args:
        result: explanation of clips or of a video.
        path: the `.npz` file.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file exists, or its folder is missing or not writable.
        RunError: writing failed.
    """
    meta, arrays = _parts(result, Path(path).parent)
    free_pages = result.forget if isinstance(result, VideoExplanation) else None
    with atomic_write(Path(path), overwrite=overwrite) as part, part.open("wb") as file, ZipFile(file, "w") as archive:
        for name, array in {"meta": np.array(to_json(meta, indent=0)), **arrays}.items():
            info = ZipInfo(f"{name}.npy")
            info.external_attr = 0o600 << 16
            info.compress_type = ZIP_STORED if array.nbytes >= MAPPED_BYTES else ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                for piece in _pieces(array, file.tell()):
                    member.write(piece)
                    if free_pages is not None:
                        free_pages()


def load(path: str | Path) -> Explanation | VideoExplanation:
    """Load an explanation that `save` wrote.

    Large arrays of a video are memory-mapped: they are read-only, and the file must not be truncated while they are
    used. The path of `origin` becomes absolute again.

    Raises:
        MediaError: the file is missing, damaged or of another kind.
    """
    try:
        with Path(path).open("rb") as file, ZipFile(file) as archive:
            reader = _MappedReader(file, archive, os.fstat(file.fileno()).st_size)
            text = str(reader.array("meta"))
            schema = from_json(text, _Schema).schema
            if schema != SCHEMA:
                raise ValueError(f"schema {schema}, expected {SCHEMA}")
            result = _from_meta(from_json(text, _Meta), reader, Path(path).parent)
            require_valid(result)
            return result
    except FileNotFoundError as exc:
        raise MediaError(f"{path} does not exist; expected an .npz that vidcam wrote") from exc
    except READ_ERRORS as exc:
        reason = first_line(exc)
        raise MediaError(f"{path} is not a saved explanation ({reason}); expected an .npz that vidcam wrote") from exc


def _parts(result: Explanation | VideoExplanation, folder: Path) -> tuple[_Meta, Arrays]:
    if isinstance(result, Explanation):
        entry, arrays = _split(result, "0")
        return _Meta(SCHEMA, (entry,), None), arrays
    parts = [_split(explanation, str(number)) for number, explanation in enumerate(result.explanations)]
    arrays = {name: array for _, part_arrays in parts for name, array in part_arrays.items()}
    for number in range(1, len(parts)):  # all targets have the same windows, so the logits are nearly always equal
        if np.array_equal(arrays["0/logits"], arrays[f"{number}/logits"]):
            del arrays[f"{number}/logits"]
    timeline = result.timeline
    arrays |= {"starts": timeline.starts, "ends": timeline.ends, "frame_seconds": timeline.frame_seconds}
    return _Meta(SCHEMA, tuple(entry for entry, _ in parts), _video(result, folder)), arrays


def _video(explanation: VideoExplanation, folder: Path) -> _VideoMeta:
    origin = None if explanation.origin is None else explanation.origin.relative_to(folder)
    values = {field.name: getattr(explanation, field.name) for field in fields(_VideoMeta)}
    return _VideoMeta(**values | {"origin": origin})


def _split(explanation: Explanation, prefix: str) -> tuple[_ClipsMeta, Arrays]:
    """Split an explanation into its JSON entry and its named arrays; `_explanation` is the inverse."""
    arrays = {f"{prefix}/logits": explanation.logits, f"{prefix}/target": explanation.target}
    if explanation.contrast is not None:
        arrays[f"{prefix}/contrast"] = explanation.contrast
    for group in GROUPS:
        arrays |= {f"{prefix}/{group}/{name}": values for name, values in getattr(explanation, group).items()}
    for name, audit in explanation.alpha.items():
        arrays |= {f"{prefix}/alpha/{name}/{field}": getattr(audit, field) for field in AUDIT_FIELDS}
    values: dict[str, Any] = {name: getattr(explanation, name) for name in _COPIED}
    values |= {group: tuple(getattr(explanation, group)) for group in ("alpha", *GROUPS)}
    return _ClipsMeta(**values, has_contrast=explanation.contrast is not None), arrays


def _explanation(entry: _ClipsMeta, prefix: str, read: Read, logits: NDArray[Any]) -> Explanation:
    values: dict[str, Any] = {name: getattr(entry, name) for name in _COPIED}
    values |= {group: {name: read(f"{prefix}/{group}/{name}") for name in getattr(entry, group)} for group in GROUPS}
    return Explanation(
        **values,
        logits=logits,
        target=read(f"{prefix}/target"),
        contrast=read(f"{prefix}/contrast") if entry.has_contrast else None,
        alpha={
            name: AlphaAudit(*(read(f"{prefix}/alpha/{name}/{field}") for field in AUDIT_FIELDS))
            for name in entry.alpha
        },
    )


def _from_meta(meta: _Meta, reader: _MappedReader, folder: Path) -> Explanation | VideoExplanation:
    first = reader.array("0/logits")
    if meta.video is None:
        (entry,) = meta.explanations
        return _explanation(entry, "0", reader.array, first)
    explanations, names = [], frozenset(reader.names)
    for number, entry in enumerate(meta.explanations):
        logits = reader.array(f"{number}/logits") if f"{number}/logits" in names else first
        explanations.append(_explanation(entry, str(number), reader.mapped, logits))
    values = {field.name: getattr(meta.video, field.name) for field in fields(_VideoMeta)}
    values["origin"] = None if meta.video.origin is None else meta.video.origin.resolved_from(folder)
    return VideoExplanation(
        **values,
        timeline=Timeline(reader.array("starts"), reader.array("ends"), reader.array("frame_seconds")),
        explanations=tuple(explanations),
        forget=reader.forget,
    )


class _MappedReader(NpzReader):
    """Read arrays of an archive by name; map large ones.

    Attributes:
        forget: frees the memory pages of mapped arrays; None if nothing is mapped or the system cannot.
    """

    def __init__(self, file: IO[bytes], archive: ZipFile, size: int) -> None:
        super().__init__(archive, size)
        self._file = file
        self._map: mmap.mmap | None = None

    @property
    def forget(self) -> Callable[[], None] | None:
        file_map = self._map
        if file_map is None or not hasattr(mmap, "MADV_DONTNEED"):
            return None
        return lambda: file_map.madvise(mmap.MADV_DONTNEED)

    def mapped(self, name: str) -> NDArray[Any]:
        """Map a large uncompressed array; read any other into memory."""
        member = self.member(name)
        if member.compress_type != ZIP_STORED or member.file_size < MAPPED_BYTES:
            return self.array(name)
        header = self.check(name)
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return header.array(self._map, self._content_offset(member) + header.offset)

    def _content_offset(self, member: ZipInfo) -> int:
        """Offset of a member's content, after its local header: 30 bytes, a name and an extra field."""
        self._file.seek(member.header_offset + 26)
        lengths = self._file.read(4)
        return member.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")


def _pieces(array: NDArray[Any], position: int) -> Iterator[bytes]:
    """Yield the bytes of an .npy file, some rows at a time; `position` is its offset in the archive's file."""
    header = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(header, fields)
    text = header.getvalue()
    padding = -(position + len(text)) % ALIGNMENT_BYTES
    length = (len(text) - 10 + padding).to_bytes(2, "little")  # follows 8 bytes: magic string and version
    yield text[:8] + length + text[10:-1] + b" " * padding + b"\n"
    rows = np.atleast_1d(array)
    step = max(1, PIECE_BYTES // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        yield rows[start : start + step].tobytes()
