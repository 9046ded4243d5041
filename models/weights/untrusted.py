"""Load NumPy arrays from an untrusted pickle.

Loading a pickle can run code. This unpickler allows only the three globals of an array, `_reconstruct`, `ndarray` and
`dtype`, and stores what they would be called with. Arrays are built afterwards, from values that were checked, so numpy
never receives an unchecked argument.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import WeightsError

Array = NDArray[Any]

_GLOBALS = frozenset({"numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"})
_DTYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


def load_arrays(path: Path) -> dict[str, Array]:
    """Read a pickled nested dict of numpy arrays.

    Args:
        path: a pickle of protocol 3 or 4, in which numpy pickles arrays through `_reconstruct`.

    Returns:
        The arrays in the pickle's order. Their names are the keys joined with '/',
        'params/Conv3d_1a_7x7/Conv_0/kernel'. They share memory with the file's bytes and are read-only.

    Raises:
        WeightsError: the file uses another global, is not a pickle, or contains anything but nested dicts of arrays of
            numbers.
    """
    try:
        with path.open("rb") as stream:
            return dict(_arrays(_ArrayUnpickler(stream).load(), ""))
    except WeightsError:
        raise
    except Exception as exc:  # a damaged pickle can raise almost anything
        raise WeightsError(
            f"{path.name} cannot be read as a pickle of numpy arrays ({type(exc).__name__}: {exc}); download it again"
        ) from exc


class _Stored:
    """The arguments of a call of a numpy global, and the state of what it would return."""

    def __init__(self, *arguments: object) -> None:
        self.arguments: tuple[Any, ...] = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Stored]:
        if f"{module.replace('numpy._core', 'numpy.core')}.{name}" in _GLOBALS:
            return _Stored
        raise WeightsError(
            f"the pickle contains code ({module}.{name}), expected only numpy arrays; nothing was run: do not use this "
            "file"
        )


def _arrays(tree: object, name: str) -> Iterator[tuple[str, Array]]:
    if isinstance(tree, _Stored):
        yield name, _array(tree, name)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _arrays(value, f"{name}/{key}" if name else str(key))
    else:
        raise WeightsError(
            f"the pickle has a {type(tree).__name__} at {name or 'its root'!r}, expected a dict of arrays; do not use "
            "this file"
        )


def _array(stored: _Stored, name: str) -> Array:
    """Build an array from its state: version, shape, dtype, whether in Fortran order, bytes."""
    match stored.state:
        case (1, tuple(shape), _Stored() as dtype, bool(is_fortran), bytes(data)):
            numbers = _dtype(dtype)
            if numbers is not None and math.prod(shape) * numbers.itemsize == len(data):
                return np.frombuffer(data, numbers).reshape(shape, order="F" if is_fortran else "C")
    raise WeightsError(f"array {name!r} of the pickle is damaged or not of numbers; do not use this file")


def _dtype(stored: _Stored) -> np.dtype[Any] | None:
    """Build a dtype from the argument of its call, 'f4', and the byte order in its state; None if not of numbers."""
    match stored.arguments, stored.state:
        case (str(kind), _, _), (3, "<" | ">" | "=" | "|" as order, None, None, None, -1, -1, 0) if kind in _DTYPES:
            return np.dtype(f"{order}{kind}")
    return None
