"""One file format for explanations of clips and of videos: an `.npz` of plain arrays and one JSON text.

The JSON `meta` says what is there; the arrays of the i-th explanation are called `<i>/volumes/<method>`,
`<i>/alpha/<method>/<field>` and so on. Nothing is unpickled. Arrays of MAPPED_BYTES and more are stored as they are, on
round addresses, so that those of a long video are mapped instead of read; smaller ones are deflated.
"""

from __future__ import annotations

import io
import mmap
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import MediaError
from vidcam.geometry import Geometry
from vidcam.results.explanation import AUDIT_FIELDS, Activation, AlphaAudit, Artifact, Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import Bounds, Origin, VideoExplanation
from vidcam.system.atomic import atomic_write
from vidcam.system.json_files import from_json, to_json

SCHEMA = 1

MAPPED_BYTES = 1 << 20
PIECE_BYTES = 1 << 20
ALIGNMENT_BYTES = 64

Arrays = dict[str, NDArray[Any]]
Read = Callable[[str], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _ClipsMeta:
    """An explanation without its arrays; `volumes`, `alpha`, `clamped` and `guided` are the names in them."""

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


@dataclass(frozen=True, slots=True)
class _VideoMeta:
    """A video's explanation without the windows; see `VideoExplanation`."""

    source: str
    model: str
    geometry: Geometry
    labels: tuple[str, ...]
    bounds: tuple[Bounds, ...]
    origin: Origin | None
    class_labels: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Meta:
    """All of a file but its arrays; `video` is null for clips."""

    schema: int
    explanations: tuple[_ClipsMeta, ...]
    video: _VideoMeta | None


@dataclass(frozen=True, slots=True)
class _Schema:
    schema: int


def save(result: Explanation | VideoExplanation, path: str | Path, *, overwrite: bool = False) -> None:
    """Write an explanation, whole or not at all; memory stays flat in its length.

    The path of a video's `origin` is stated relative to the folder of the file.

    Args:
        result: of clips or of a video.
        path: an `.npz`.
        overwrite: whether a file may be there already.

    Raises:
        OutputError: the file exists, or its folder does not exist or cannot be written to.
        RunError: writing failed in the middle.
    """
    meta, arrays = _parts(result, Path(path).parent)
    forget = result.forget if isinstance(result, VideoExplanation) else None
    with atomic_write(Path(path), overwrite=overwrite) as part, part.open("wb") as file, ZipFile(file, "w") as archive:
        for name, array in {"meta": np.array(to_json(meta, indent=0)), **arrays}.items():
            info = ZipInfo(f"{name}.npy")
            info.external_attr = 0o600 << 16
            info.compress_type = ZIP_STORED if array.nbytes >= MAPPED_BYTES else ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                for piece in _pieces(array, file.tell()):
                    member.write(piece)
                    if forget is not None:
                        forget()


def load(path: str | Path) -> Explanation | VideoExplanation:
    """Read what `save` wrote.

    The large arrays of a video are mapped: they cannot be written to, and the file must not be cut while they are used.
    The path of its `origin` is absolute again.

    Raises:
        MediaError: it does not exist, is not such a file, or is damaged.
    """
    try:
        with Path(path).open("rb") as file, ZipFile(file) as archive:
            reader = _Reader(file, archive)
            text = str(reader.array("meta"))
            schema = from_json(text, _Schema).schema
            if schema != SCHEMA:
                raise ValueError(f"its schema is {schema}, not {SCHEMA}")
            return _joined(from_json(text, _Meta), reader, Path(path).parent)
    except FileNotFoundError as exc:
        raise MediaError(f"{path} does not exist, expected an .npz that vidcam wrote; check the path") from exc
    except (
        *(OSError, ValueError, LookupError, TypeError, EOFError, MemoryError, OverflowError),
        *(NotImplementedError, RuntimeError, BadZipFile, zlib.error),  # what zipfile says of foreign archives
    ) as exc:
        reason = str(exc) or type(exc).__name__
        raise MediaError(
            f"{path} cannot be read as a saved explanation ({reason}); expected an .npz that vidcam wrote"
        ) from exc


def _parts(result: Explanation | VideoExplanation, folder: Path) -> tuple[_Meta, Arrays]:
    if isinstance(result, Explanation):
        entry, arrays = _split(result, "0")
        return _Meta(SCHEMA, (entry,), None), arrays
    parts = [_split(explanation, str(number)) for number, explanation in enumerate(result.explanations)]
    arrays = {name: array for _, found in parts for name, array in found.items()}
    for number in range(1, len(parts)):  # one model saw the same windows: they are nearly always the same
        if np.array_equal(arrays["0/logits"], arrays[f"{number}/logits"]):
            del arrays[f"{number}/logits"]
    line = result.timeline
    arrays |= {"starts": line.starts, "ends": line.ends, "frame_seconds": line.frame_seconds}
    return _Meta(SCHEMA, tuple(entry for entry, _ in parts), _video(result, folder)), arrays


def _video(explanation: VideoExplanation, folder: Path) -> _VideoMeta:
    return _VideoMeta(
        source=explanation.source,
        model=explanation.model,
        geometry=explanation.geometry,
        labels=explanation.labels,
        bounds=explanation.bounds,
        origin=None if explanation.origin is None else explanation.origin.stated_in(folder),
        class_labels=explanation.class_labels,
    )


def _split(explanation: Explanation, prefix: str) -> tuple[_ClipsMeta, Arrays]:
    """An explanation as what the JSON holds and its arrays by name; `_explanation` is the way back."""
    arrays = {f"{prefix}/logits": explanation.logits, f"{prefix}/target": explanation.target}
    if explanation.contrast is not None:
        arrays[f"{prefix}/contrast"] = explanation.contrast
    groups = {"volumes": explanation.volumes, "clamped": explanation.clamped, "guided": explanation.guided}
    for group, named in groups.items():
        arrays |= {f"{prefix}/{group}/{name}": values for name, values in named.items()}
    for name, audit in explanation.alpha.items():
        arrays |= {f"{prefix}/alpha/{name}/{field}": getattr(audit, field) for field in AUDIT_FIELDS}
    entry = _ClipsMeta(
        layer=explanation.layer,
        input_size=explanation.input_size,
        volumes=tuple(explanation.volumes),
        alpha=tuple(explanation.alpha),
        clamped=tuple(explanation.clamped),
        guided=tuple(explanation.guided),
        has_contrast=explanation.contrast is not None,
        alpha_exact=explanation.alpha_exact,
        activation=explanation.activation,
        artifact=explanation.artifact,
        notes=explanation.notes,
    )
    return entry, arrays


def _explanation(entry: _ClipsMeta, prefix: str, read: Read, logits: NDArray[Any]) -> Explanation:
    return Explanation(
        volumes={name: read(f"{prefix}/volumes/{name}") for name in entry.volumes},
        logits=logits,
        target=read(f"{prefix}/target"),
        contrast=read(f"{prefix}/contrast") if entry.has_contrast else None,
        layer=entry.layer,
        input_size=entry.input_size,
        alpha={
            name: AlphaAudit(*(read(f"{prefix}/alpha/{name}/{field}") for field in AUDIT_FIELDS))
            for name in entry.alpha
        },
        alpha_exact=entry.alpha_exact,
        clamped={name: read(f"{prefix}/clamped/{name}") for name in entry.clamped},
        guided={name: read(f"{prefix}/guided/{name}") for name in entry.guided},
        activation=entry.activation,
        artifact=entry.artifact,
        notes=entry.notes,
    )


def _joined(meta: _Meta, reader: _Reader, folder: Path) -> Explanation | VideoExplanation:
    first = reader.array("0/logits")
    if meta.video is None:
        (entry,) = meta.explanations
        return _explanation(entry, "0", reader.array, first)
    explanations = []
    for number, entry in enumerate(meta.explanations):
        logits = reader.array(f"{number}/logits") if reader.has(f"{number}/logits") else first
        explanations.append(_explanation(entry, str(number), reader.mapped, logits))
    return VideoExplanation(
        source=meta.video.source,
        model=meta.video.model,
        geometry=meta.video.geometry,
        timeline=Timeline(reader.array("starts"), reader.array("ends"), reader.array("frame_seconds")),
        labels=meta.video.labels,
        explanations=tuple(explanations),
        bounds=meta.video.bounds,
        origin=None if meta.video.origin is None else meta.video.origin.found_from(folder),
        class_labels=meta.video.class_labels,
        forget=reader.forget,
    )


class _Reader:
    """Arrays of an archive by name.

    Attributes:
        forget: lets go of the memory that holds mapped arrays; None while nothing is mapped, or where it cannot be.
    """

    def __init__(self, file: IO[bytes], archive: ZipFile) -> None:
        self._file, self._archive = file, archive
        self._map: mmap.mmap | None = None

    @property
    def forget(self) -> Callable[[], None] | None:
        whole = self._map
        if whole is None or not hasattr(mmap, "MADV_DONTNEED"):
            return None
        return lambda: whole.madvise(mmap.MADV_DONTNEED)

    def has(self, name: str) -> bool:
        """Whether there is such an array."""
        return f"{name}.npy" in self._archive.NameToInfo

    def array(self, name: str) -> NDArray[Any]:
        """An array in memory."""
        return self._read(name, is_mapped=False)

    def mapped(self, name: str) -> NDArray[Any]:
        """An array over the mapped file if it is stored as it is, else in memory."""
        return self._read(name, is_mapped=True)

    def _read(self, name: str, *, is_mapped: bool) -> NDArray[Any]:
        info = self._archive.getinfo(f"{name}.npy")
        with self._archive.open(info) as member:
            shape, dtype = _shape_and_dtype(member)
            start = member.tell()
            if prod(shape) * dtype.itemsize != info.file_size - start:
                raise ValueError(f"{name} is {info.file_size - start} bytes long, not {shape} of {dtype}")
            if not is_mapped or info.compress_type != ZIP_STORED or info.file_size < MAPPED_BYTES:
                return np.ndarray(shape, dtype, bytearray(member.read()))
            while member.read(PIECE_BYTES):  # the check sum is compared at the end
                pass
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.ndarray(shape, dtype, self._map, self._place(info) + start)

    def _place(self, info: ZipInfo) -> int:
        """Where a member's content begins: behind its local header, 30 bytes, a name and an extra field."""
        self._file.seek(info.header_offset + 26)
        lengths = self._file.read(4)
        return info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")


def _shape_and_dtype(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if np.lib.format.read_magic(member) != (1, 0):
        raise ValueError("an array is of another version")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(member)
    if is_fortran or dtype.hasobject:
        raise ValueError("an array is stored by columns or holds Python objects")
    return shape, dtype


def _pieces(array: NDArray[Any], position: int) -> Iterator[bytes]:
    """The bytes of an .npy file, some rows at a time; `position` is where it begins in the archive's file."""
    header = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(header, about)
    text = header.getvalue()
    padding = -(position + len(text)) % ALIGNMENT_BYTES
    length = (len(text) - 10 + padding).to_bytes(2, "little")  # stands behind 8 bytes of magic number
    yield text[:8] + length + text[10:-1] + b" " * padding + b"\n"
    rows = np.atleast_1d(array)
    step = max(1, PIECE_BYTES // max(1, rows[:1].nbytes))
    for start in range(0, len(rows), step):
        yield rows[start : start + step].tobytes()
