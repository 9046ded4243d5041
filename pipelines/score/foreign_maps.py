"""Maps of other tools, scored beside vidcam's: a folder with one `.npy` or `.npz` for each clip of the set.

The file of `sub/a.mp4` is `sub/a.npy`, `sub/a.npz`, `a.npy` or `a.npz` in the folder. If several clips are windows of
one video, it is `12.npy` for the clip with the number 12, as in the column `clip` of scores.csv. It holds one array, a
grid (t, h, w) or as large as the model's input (T, H, W), also with axes of length 1 before them. Negative values count
as 0. The maps must be of the predicted class and of the scored window, which nobody can check.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from vidcam.cam.methods import ALL_METHODS
from vidcam.errors import InputError, MediaError
from vidcam.foreign import first_line
from vidcam.maps import Floats
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.options import CONTROLS
from vidcam.system.filenames import as_text
from vidcam.system.fingerprint import digest_of, sampled_sha256
from vidcam.system.npy import READ_ERRORS, NpyHeader, NpzReader, read_header, read_values

_ENDINGS = (".npy", ".npz")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class ForeignMaps:
    """The maps of one tool.

    Attributes:
        name: name of the folder, and of the rows.
        files: the file of each clip, in the order of the set.
    """

    name: str
    files: tuple[Path, ...] = field(repr=False)

    def digest(self) -> str:
        """SHA-256 of the length and a sample of each file; hexadecimal."""
        return digest_of(sampled_sha256([path]).encode() for path in self.files)

    def read(self, clip: int, size: Sequence[int]) -> Floats:
        """Read the map of a clip, (t, h, w) float32 >= 0.

        Args:
            clip: index in the set.
            size: (T, H, W) of the model's input; (H, W) for an image network.

        Raises:
            MediaError: the file is damaged, or holds no such array.
        """
        path = self.files[clip]
        where = f"the map {self.name}/{as_text(path.name)}"
        try:
            array = _array(path, where, size)
        except MediaError:
            raise
        except READ_ERRORS as exc:
            raise MediaError(f"{where} cannot be read ({first_line(exc)}); save it with numpy") from exc
        with np.errstate(over="ignore"):
            positive: Floats = np.maximum(array, 0).astype(np.float32)
        if not (np.isfinite(array).all() and np.isfinite(positive).all()):
            raise MediaError(f"{where} has NaN, infinite or too large values; replace them, for example by 0")
        return positive


def foreign_maps(folders: Iterable[str | Path], entries: Sequence[Entry]) -> tuple[ForeignMaps, ...]:
    """Find the maps of all clips in the folders of other tools.

    Args:
        folders: one for each tool; its name is the name of the rows.
        entries: the clips of the set.

    Raises:
        InputError: a folder is missing, has no map of a clip or one file for two clips, or its name is taken.
    """
    found: dict[str, ForeignMaps] = {}
    names = Counter(entry.name for entry in entries)
    for folder in map(Path, folders):
        name = as_text(folder.resolve().name)
        if not folder.is_dir():
            raise InputError(f"--maps {as_text(str(folder))} is not a folder; it must have one .npy for each clip")
        if name in found or name.casefold() in (*ALL_METHODS, *CONTROLS):
            raise InputError(f"--maps {as_text(str(folder))}: the name {name!r} is taken; rename the folder")
        files = [_file(folder, entry, is_alone=names[entry.name] == 1) for entry in entries]
        missing = [entry for entry, file in zip(entries, files, strict=True) if file is None]
        if missing:
            shown = ", ".join(entry.name for entry in missing[:_MOST_NAMED]) + ", …" * (len(missing) > _MOST_NAMED)
            raise InputError(
                f"--maps {as_text(str(folder))} has no map of {len(missing)} of {len(entries)} clips ({shown}); "
                f"name it {Path(missing[0].name).stem if names[missing[0].name] == 1 else missing[0].index}.npy"
            )
        known = tuple(file for file in files if file is not None)
        _require_own(folder, entries, known)
        found[name] = ForeignMaps(name, known)
    return tuple(found.values())


def _file(folder: Path, entry: Entry, *, is_alone: bool) -> Path | None:
    """Return the file of a clip; None if there is none."""
    clip = Path(entry.name)
    stems = [clip.with_suffix(""), Path(clip.stem), clip] if is_alone else []  # a folder of images has no suffix
    candidates = (folder / f"{stem}{ending}" for stem in [*stems, Path(str(entry.index))] for ending in _ENDINGS)
    return next((path for path in candidates if path.is_file()), None)


def _require_own(folder: Path, entries: Sequence[Entry], files: Sequence[Path]) -> None:
    """Check that no file serves two clips: a name can also be the number of another clip, or a name in a subfolder."""
    users: dict[Path, Entry] = {}
    for entry, file in zip(entries, files, strict=True):
        other = users.setdefault(file, entry)
        if other is not entry:
            raise InputError(
                f"--maps {as_text(str(folder))}: {as_text(file.name)} would be the map of {other.name} and of "
                f"{entry.name}; save one for each"
            )


def _array(path: Path, where: str, size: Sequence[int]) -> NDArray[Any]:
    """Read a map; its header is checked first, so that memory is taken only for a map."""
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        is_archive = file.read(2) == b"PK"
        file.seek(0)
        if not is_archive:
            header = read_header(file, length)
            shape = _map_shape(header, where, size)
            return read_values(file, header).reshape(shape)
        with ZipFile(file) as archive:
            reader = NpzReader(archive, length)
            if len(reader.names) != 1:
                raise ValueError(f"it has {len(reader.names)} arrays, expected one")
            shape = _map_shape(reader.header(reader.names[0]), where, size)
            return reader.array(reader.names[0]).reshape(shape)


def _map_shape(header: NpyHeader, where: str, size: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a map without axes of length 1 before it.

    Raises:
        MediaError: the array is no map of at most this size.
    """
    shape = header.shape
    while len(shape) > len(size) and shape[0] == 1:
        shape = shape[1:]
    if header.dtype.kind not in "fiu":
        raise MediaError(f"{where} is of {header.dtype}; save an array of numbers")
    if len(shape) != len(size) or not all(0 < cells <= most for cells, most in zip(shape, size, strict=True)):
        raise MediaError(f"{where} has shape {str(shape)[:80]}; it must be a grid of at most {tuple(size)}")
    return shape
