"""Arrays of strangers: sizes are bounded before memory is taken, and nothing is evaluated."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidcam.system.npy import MAX_INFLATED_BYTES, READ_ERRORS, NpzReader, read_header, read_values


def npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def with_header(text: str, values: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + values


def read(content: bytes) -> NDArray[Any]:
    file = io.BytesIO(content)
    return read_values(file, read_header(file, len(content)))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(3),
        np.array([True, False]),
        np.array("text"),
        np.zeros((0, 4)),
        np.arange(3, dtype=">i2"),
    ],
)
def test_arrays_are_read_as_by_numpy(array: NDArray[Any]) -> None:
    np.testing.assert_array_equal(read(npy(array)), array, strict=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        npy(np.ones(3))[:-1],
        npy(np.ones(3)) + b"x",
        npy(np.ones(3, complex)),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000), }\n"),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8), }\n", bytes(64)),
        with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", bytes(8)),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 40 + "), }\n", bytes(8)),
        with_header("(" * 9000),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': ([x for x in ()],), }\n", bytes(8)),
    ],
)
def test_other_arrays_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        read(content)


def archive_of(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def read_archive(path: Path, name: str) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        return NpzReader(archive, path.stat().st_size).array(name)


def test_a_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    archive_of(path, {str(number): bytes(MAX_INFLATED_BYTES // 16) for number in range(17)})
    with pytest.raises(ValueError, match="inflates to 272 MiB, the limit is 256 MiB"):
        read_archive(path, "0")


def test_a_member_that_inflates_to_more_than_it_says_is_not_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, large = tmp_path / "a.npz", npy(np.zeros(1 << 22))
    archive_of(path, {"a": large})
    content = path.read_bytes()
    claimed = npy(np.zeros(4))
    large_header = large[: len(large) - (8 << 22)]
    content = content.replace(struct.pack("<I", len(large)), struct.pack("<I", len(claimed)))
    path.write_bytes(content)
    largest = 0
    decompressor = zlib.decompressobj

    class Watched:
        def __init__(self, *arguments: Any) -> None:
            self._inner = decompressor(*arguments)

        def decompress(self, data: bytes, most: int = 0) -> bytes:
            nonlocal largest
            made = self._inner.decompress(data, most)
            largest = max(largest, len(made))
            return made

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    monkeypatch.setattr("zlib.decompressobj", Watched)
    with pytest.raises(READ_ERRORS):
        read_archive(path, "a")
    assert len(large_header) < largest <= 1 << 21


def test_overlapping_and_unknown_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    archive_of(path, {"a": npy(np.ones(3))}, zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="unknown way"):
        read_archive(path, "a")
    archive_of(path, {"a": b"", "b": b""}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"b.npy", b"a.npy"))
    with pytest.raises(ValueError, match="one name"):
        read_archive(path, "a")
