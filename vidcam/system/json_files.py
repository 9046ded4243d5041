"""JSON of dataclasses: the one place where documents, summaries and settings are written and read.

A key is a field's name. NaN and infinity become null; a field that may be null is typed so. Reading checks every type,
and keys that a dataclass does not have are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from vidcam.errors import InputError
from vidcam.system.atomic import atomic_write

Value = TypeVar("Value")


def to_json(value: Any, *, indent: int = 1) -> str:
    """A dataclass, or mappings and lists of them, as JSON text; indent 0 keeps it on one line."""
    text = msgspec.json.encode(value, enc_hook=_plain)
    return (msgspec.json.format(text, indent=indent) if indent else text).decode()


def from_json(text: str | bytes, kind: type[Value]) -> Value:
    """JSON text as a value of that type.

    Raises:
        ValueError: it is no JSON, a field is missing or of another type; the message names the field.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def as_plain(value: Any) -> Any:
    """A dataclass as mappings, lists, numbers and text: what the JSON holds."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_plain))


def write_json(path: Path, value: Any, *, sync: bool = False) -> None:
    """Write a dataclass to a file, whole or not at all; an existing file is replaced.

    Raises:
        OutputError: the folder does not exist or cannot be written to.
        RunError: the disk is full or the like.
    """
    with atomic_write(path, sync=sync) as part:
        part.write_text(to_json(value) + "\n", "utf-8")


def read_json(path: Path, kind: type[Value]) -> Value:
    """Read what `write_json` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it cannot be read, or is not of that type.
    """
    try:
        return from_json(path.read_bytes(), kind)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as exc:
        raise InputError(f"{path} is damaged or of another version ({exc})") from exc


def _plain(value: Any) -> Any:
    """Numpy's numbers and arrays; a path as text."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
