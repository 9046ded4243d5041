"""Convert dataclasses to JSON and back. All documents, summaries and settings are written and read here.

Keys are field names. NaN and infinity become null, so such a field has a type with None. Reading checks all types, and
ignores keys that the dataclass does not have.
"""

from __future__ import annotations

import stat
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
import numpy as np

from vidcam.errors import InputError
from vidcam.system.atomic import atomic_write

Value = TypeVar("Value")

MAX_BYTES = 64 << 20
"""Limit for a JSON file that is read."""


def to_json(value: Any, *, indent: int = 1) -> str:
    """Convert a dataclass, or mappings and lists of dataclasses, to JSON text; with indent 0 on one line."""
    text = msgspec.json.encode(value, enc_hook=_plain)
    return (msgspec.json.format(text, indent=indent) if indent else text).decode()


def from_json(text: str | bytes, kind: type[Value]) -> Value:
    """Parse JSON text into a value of the type `kind`.

    Raises:
        ValueError: the text is not JSON, or a field is missing or has another type; the message names the field.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def as_plain(value: Any) -> Any:
    """Convert a dataclass to the mappings, lists, numbers and text that its JSON holds."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_plain))


def write_json(path: Path, value: Any, *, sync: bool = False) -> None:
    """Write a dataclass to a JSON file, completely or not at all; an existing file is replaced.

    Args:
        path: the destination.
        value: the dataclass.
        sync: flush the file to the disk before it gets its name.

    Raises:
        OutputError: the folder does not exist or cannot be written to.
        RunError: writing failed, for example because the disk is full.
    """
    with atomic_write(path, sync=sync) as part:
        part.write_text(to_json(value) + "\n", "utf-8")


def read_regular(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """Read a regular file of at most `limit` bytes. A pipe or a device could block or never end.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a regular file, or larger than the limit.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > limit:
        raise ValueError(f"it has {status.st_size >> 20} MiB, the limit is {limit >> 20} MiB")
    return path.read_bytes()


def read_json(path: Path, kind: type[Value]) -> Value:
    """Read a file that `write_json` wrote.

    Raises:
        FileNotFoundError: the file does not exist.
        InputError: the file cannot be read, or does not hold a value of the type `kind`.
    """
    try:
        return from_json(read_regular(path), kind)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, MemoryError) as exc:
        raise InputError(f"{path} is damaged or of another version ({str(exc) or type(exc).__name__})") from exc


def read_json_if_valid(path: Path, kind: type[Value]) -> Value | None:
    """Read a file that `write_json` wrote; None if there is none, or if it does not hold a value of the type `kind`."""
    try:
        return read_json(path, kind)
    except (FileNotFoundError, InputError):
        return None


def _plain(value: Any) -> Any:
    """Convert NumPy numbers and arrays to plain ones, a read-only mapping to a dict, and a path to text."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, MappingProxyType):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
