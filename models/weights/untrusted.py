"""Load NumPy arrays from an untrusted pickle.

Loading a pickle can run code. This unpickler allows only three globals: `numpy.core.multiarray._reconstruct`,
`numpy.ndarray` and `numpy.dtype`. It replaces each of them by a placeholder class of this module, which only stores
shape, dtype and bytes. Every other global is refused. After unpickling, the stored values are checked, and only then
are arrays built from them. So numpy never receives an unchecked argument.

The placeholders have no slots and no `__dict__`, so a BUILD opcode cannot change them.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import WeightsError

Array = NDArray[Any]

_MAX_DEPTH = 32
_DTYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


def load_arrays(path: Path) -> dict[str, Array]:
    """Read a pickled nested dict of numpy arrays.

    Args:
        path: a pickle of protocol 4 or lower, in which numpy pickles arrays through `_reconstruct`.

    Returns:
        The arrays in the pickle's order. Their names are the keys joined with '/',
        'params/Conv3d_1a_7x7/Conv_0/kernel'. They share memory with the file's bytes and are read-only.

    Raises:
        WeightsError: the file uses another global, is not a pickle, or contains anything but nested dicts of arrays of
            numbers.
    """
    try:
        with path.open("rb") as stream:
            tree = _ArrayUnpickler(stream).load()
    except WeightsError:
        raise
    except Exception as exc:  # a damaged pickle can raise almost anything
        raise WeightsError(
            f"{path.name} cannot be read as a pickle of numpy arrays ({type(exc).__name__}: {exc}); download it again"
        ) from exc
    arrays: dict[str, Array] = {}
    _collect(tree, "", arrays, depth=0)
    return arrays


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler that allows only the three globals of an array, from `numpy.core` and from `numpy._core`."""

    def find_class(self, module: str, name: str) -> object:
        if module.replace("numpy._core", "numpy.core") == "numpy.core.multiarray" and name == "_reconstruct":
            return _Reconstruct()
        if module == "numpy" and name == "ndarray":
            return _Ndarray()
        if module == "numpy" and name == "dtype":
            return _Dtype()
        raise WeightsError(
            f"the pickle contains code ({module}.{name}), expected only numpy arrays; nothing was run: do not use this "
            "file"
        )

    def persistent_load(self, pid: object) -> NoReturn:
        raise WeightsError(
            f"the pickle has a persistent id ({str(pid)[:80]!r}), expected only numpy arrays; do not use this file"
        )


class _Ndarray:
    """Placeholder for the class numpy.ndarray, the first argument of `_reconstruct`. It cannot be called."""

    __slots__ = ()


class _Reconstruct:
    """Placeholder for `_reconstruct(subtype, shape, typecode)`."""

    __slots__ = ()

    def __call__(self, subtype: object, shape: object, _typecode: object) -> _PendingArray:
        if not isinstance(subtype, _Ndarray) or shape != (0,):
            raise WeightsError(
                f"the pickle calls _reconstruct with {str(subtype)[:80]}, expected numpy.ndarray; do not use this file"
            )
        return _PendingArray()


class _Dtype:
    """Placeholder for the class numpy.dtype, called with a type string, 'f4'."""

    __slots__ = ()

    def __call__(self, typestr: object, _align: object, _copy: object) -> _PendingDtype:
        if not isinstance(typestr, str) or typestr not in _DTYPES:
            raise WeightsError(
                f"the pickle has an array of dtype {str(typestr)[:80]!r}, expected numbers; do not use this file"
            )
        return _PendingDtype(typestr)


class _PendingDtype:
    """Stored state of a dtype: its type string without the byte order, and the byte order."""

    __slots__ = ("order", "typestr")

    def __init__(self, typestr: str) -> None:
        self.typestr = typestr
        self.order = "="

    def __setstate__(self, state: object) -> None:
        match state:
            case (3, "<" | ">" | "=" | "|" as order, None, None, None, -1, -1, 0):
                self.order = str(order)
            case _:
                raise WeightsError(
                    f"the pickle has a dtype with state {str(state)[:80]}, expected numbers; do not use this file"
                )

    def dtype(self) -> np.dtype[Any]:
        """Build the numpy dtype."""
        return np.dtype(self.order + self.typestr)


class _PendingArray:
    """Stored state of an array: version, shape, dtype, whether in Fortran order, bytes."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def array(self, name: str) -> Array:
        """Build the array. It shares the pickle's bytes.

        Raises:
            WeightsError: the number of bytes does not match shape and dtype, or the state is malformed.
        """
        match self.state:
            case (1, tuple(shape), _PendingDtype() as pending, bool(is_fortran), bytes(data)) if _is_shape(shape):
                dtype = pending.dtype()
                if math.prod(shape) * dtype.itemsize == len(data):
                    flat = np.frombuffer(data, dtype=dtype)
                    return flat.reshape(shape, order="F" if is_fortran else "C")
        raise WeightsError(f"array {name!r} of the pickle is damaged; download the file again")


def _is_shape(shape: tuple[object, ...]) -> bool:
    return len(shape) <= _MAX_DEPTH and all(type(length) is int and length >= 0 for length in shape)


def _collect(tree: object, name: str, arrays: dict[str, Array], *, depth: int) -> None:
    """Put every array below `tree` into `arrays`."""
    if isinstance(tree, _PendingArray):
        if name in arrays:
            raise WeightsError(f"the pickle contains array {name!r} twice; download the file again")
        arrays[name] = tree.array(name)
        return
    if not isinstance(tree, dict):
        raise WeightsError(
            f"the pickle has a {type(tree).__name__} at {name or 'its root'!r}, expected a dict of arrays; do not use "
            "this file"
        )
    if depth > _MAX_DEPTH:
        raise WeightsError(f"the pickle has dicts nested more than {_MAX_DEPTH} deep; do not use this file")
    for key, value in tree.items():
        if not isinstance(key, str):
            raise WeightsError(f"the pickle has the key {key!r} at {name!r}, expected a string; do not use this file")
        _collect(value, f"{name}/{key}" if name else key, arrays, depth=depth + 1)
