"""Read NumPy files of strangers, `.npy` and `.npz`: sizes are read from headers and bounded before memory is taken.

Only plain arrays of numbers, flags and text are read: nothing is unpickled, and no header is evaluated as Python.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from math import prod
from typing import IO, Any, Literal
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

MAX_INFLATED_BYTES = 256 << 20
"""Limit for all compressed arrays of an archive together, when they are inflated."""

READ_ERRORS = (
    *(OSError, ValueError, LookupError, TypeError, EOFError, MemoryError, OverflowError),
    *(NotImplementedError, RuntimeError, BadZipFile, zlib.error),  # zipfile raises these for other archives
)
"""What reading a damaged file can raise."""

_MAGIC = b"\x93NUMPY\x01\x00"
_DTYPE = r"([<>|=]?(?:f[248]|[iu][1248]|b1)|[<>=]U\d{1,9})"
_HEADER = re.compile(rf"{{'descr': '{_DTYPE}', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), }}\s*")
_MAX_AXES, _MAX_DIGITS = 32, 18
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What an .npy file says of its array.

    Attributes:
        shape: length of each axis.
        dtype: numbers, flags or text.
        order: order of the values in the file, C or F.
        offset: number of bytes before the values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]
    offset: int

    @property
    def value_bytes(self) -> int:
        """Size of the values."""
        return prod(self.shape) * self.dtype.itemsize

    def array(self, buffer: Any, offset: int = 0) -> NDArray[Any]:
        """Make the array over a buffer that holds the values from an offset on."""
        return np.ndarray(self.shape, self.dtype, buffer, offset, order=self.order)


def read_header(file: IO[bytes], size: int) -> NpyHeader:
    """Read the header of an .npy file, up to its values.

    Raises:
        ValueError: it is not an .npy file of a plain array, or the array has another size.
    """
    head = file.read(10)
    length = int.from_bytes(head[8:], "little")
    match = _HEADER.fullmatch(file.read(length).decode("latin-1"))
    if head[:8] != _MAGIC or match is None:
        raise ValueError("it is not an array of numbers or text of .npy version 1.0")
    lengths = [axis.strip() for axis in match[3].split(",") if axis.strip()]
    if len(lengths) > _MAX_AXES or any(not axis.isdigit() or len(axis) > _MAX_DIGITS for axis in lengths):
        raise ValueError(f"it has the shape ({match[3][:80]})")
    order: Literal["C", "F"] = "F" if match[2] == "True" else "C"
    header = NpyHeader(tuple(map(int, lengths)), np.dtype(match[1]), order, 10 + length)
    if header.value_bytes != size - header.offset:
        raise ValueError(f"it has {size - header.offset} bytes, expected {header.shape} of {header.dtype}")
    return header


def read_values(file: IO[bytes], header: NpyHeader) -> NDArray[Any]:
    """Read the values that follow a header.

    Raises:
        ValueError: the file ends too early.
    """
    values, count = bytearray(), header.value_bytes
    while piece := file.read(min(_PIECE_BYTES, count - len(values))):
        values += piece
    if len(values) < count or file.read(1):  # the second read compares the checksum of a zip member
        raise ValueError(f"its values are not {count} bytes")
    return header.array(values)


class NpzReader:
    """Read arrays of an .npz archive by name.

    Raises:
        ValueError: a member is compressed in an unknown way, or they claim more than the file or the limit has.
    """

    def __init__(self, archive: ZipFile, size: int) -> None:
        self._archive = archive
        members = archive.infolist()
        if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
            raise ValueError("it is compressed in an unknown way")
        inflated = sum(member.file_size for member in members if member.compress_type == ZIP_DEFLATED)
        if inflated > MAX_INFLATED_BYTES:
            raise ValueError(f"it inflates to {inflated >> 20} MiB, the limit is {MAX_INFLATED_BYTES >> 20} MiB")
        stored = sum(member.file_size for member in members if member.compress_type == ZIP_STORED)
        if stored > size or len(members) != len(archive.NameToInfo):
            raise ValueError("its members overlap, or two have one name")

    @property
    def names(self) -> list[str]:
        """Names of the arrays."""
        return [member.filename.removesuffix(".npy") for member in self._archive.infolist()]

    def member(self, name: str) -> ZipInfo:
        """Return the archive's entry of an array.

        Raises:
            KeyError: there is none.
        """
        return self._archive.getinfo(f"{name}.npy")

    def header(self, name: str) -> NpyHeader:
        """Read the header of an array."""
        member = self.member(name)
        with self._archive.open(member) as file:
            return read_header(file, member.file_size)

    def array(self, name: str) -> NDArray[Any]:
        """Read an array into memory."""
        member = self.member(name)
        with self._archive.open(member) as file:
            return read_values(file, _named(name, file, member))

    def check(self, name: str) -> NpyHeader:
        """Read an array in pieces, to compare its checksum, and return its header."""
        member = self.member(name)
        with self._archive.open(member) as file:
            header = _named(name, file, member)
            while file.read(_PIECE_BYTES):
                pass
        return header


def _named(name: str, file: IO[bytes], member: ZipInfo) -> NpyHeader:
    try:
        return read_header(file, member.file_size)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc
