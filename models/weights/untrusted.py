"""Arrays from a pickle that nobody vouches for.

A pickle is a program. The one read here may name three globals, `numpy.core.multiarray._reconstruct`, `numpy.ndarray`
and `numpy.dtype`, and not even these are numpy's: each is an inert stand-in of this file that only notes down shape,
kind and bytes. Everything else is refused by name. When the program has ended, what it noted down is checked and
turned into arrays of plain numbers, so that numpy never acts on an argument of the pickle.

The stand-ins have no slots and no `__dict__`, so that a BUILD opcode finds nothing to change on them.
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

_DEEPEST = 32
_KINDS = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


def load_arrays(path: Path) -> dict[str, Array]:
    """Read a pickled nested dict of numpy arrays.

    Args:
        path: a pickle, any protocol in which numpy.ndarray pickles through `_reconstruct` (up to 4).

    Returns:
        The arrays by their keys joined with '/', 'params/Conv3d_1a_7x7/Conv_0/kernel', in the pickle's order. They
        share memory with the file's bytes and are read-only.

    Raises:
        WeightsError: the file names any other global, is no pickle, or holds anything but nested dicts of arrays of
            numbers.
    """
    try:
        with path.open("rb") as stream:
            tree = _ArrayUnpickler(stream).load()
    except WeightsError:
        raise
    except Exception as exc:  # a damaged pickle can raise almost anything
        raise WeightsError(
            f"{path.name} cannot be read ({type(exc).__name__}: {exc}); expected a pickled dict of numpy arrays; "
            "fetch it again"
        ) from exc
    arrays: dict[str, Array] = {}
    _collect(tree, "", arrays, depth=0)
    return arrays


class _ArrayUnpickler(pickle.Unpickler):
    """Admits the three globals of an array, in the old and the new place of numpy's core."""

    def find_class(self, module: str, name: str) -> object:
        if module.replace("numpy._core", "numpy.core") == "numpy.core.multiarray" and name == "_reconstruct":
            return _Reconstruct()
        if module == "numpy" and name == "ndarray":
            return _Ndarray()
        if module == "numpy" and name == "dtype":
            return _Dtype()
        raise WeightsError(
            f"the pickle names {module}.{name}, expected only numpy.core.multiarray._reconstruct, numpy.ndarray and "
            "numpy.dtype; it was not run: do not use this file"
        )

    def persistent_load(self, pid: object) -> NoReturn:
        raise WeightsError(
            f"the pickle refers to something outside itself ({str(pid)[:80]!r}), expected arrays only; it was not run: "
            "do not use this file"
        )


class _Ndarray:
    """Stands for the class numpy.ndarray, as the first argument of `_reconstruct`; cannot be called."""

    __slots__ = ()


class _Reconstruct:
    """Stands for `_reconstruct(subtype, shape, kind)`."""

    __slots__ = ()

    def __call__(self, subtype: object, shape: object, _kind: object) -> _PendingArray:
        if not isinstance(subtype, _Ndarray) or shape != (0,):
            raise WeightsError(
                f"_reconstruct is called with {str(subtype)[:80]}, expected numpy.ndarray; do not use this file"
            )
        return _PendingArray()


class _Dtype:
    """Stands for the class numpy.dtype, called with a kind, 'f4'."""

    __slots__ = ()

    def __call__(self, kind: object, _align: object, _copy: object) -> _PendingDtype:
        if not isinstance(kind, str) or kind not in _KINDS:
            raise WeightsError(
                f"the pickle holds an array of kind {str(kind)[:80]!r}, expected numbers; do not use this file"
            )
        return _PendingDtype(kind)


class _PendingDtype:
    """What a pickle says of a dtype: its kind, then the byte order."""

    __slots__ = ("kind", "order")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.order = "="

    def __setstate__(self, state: object) -> None:
        match state:
            case (3, "<" | ">" | "=" | "|" as order, None, None, None, -1, -1, 0):
                self.order = str(order)
            case _:
                raise WeightsError(
                    f"the pickle holds a dtype {str(state)[:80]}, expected plain numbers; do not use this file"
                )

    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype."""
        return np.dtype(self.order + self.kind)


class _PendingArray:
    """What a pickle says of an array: shape, dtype, whether columns come first, bytes."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state

    def array(self, where: str) -> Array:
        """The array, sharing the pickle's bytes.

        Raises:
            WeightsError: shape, dtype and number of bytes do not belong together.
        """
        match self.state:
            case (1, tuple(shape), _PendingDtype() as kind, bool(columns_first), bytes(data)) if _is_shape(shape):
                dtype = kind.dtype()
                if math.prod(shape) * dtype.itemsize == len(data):
                    flat = np.frombuffer(data, dtype=dtype)
                    return flat.reshape(shape, order="F" if columns_first else "C")
        raise WeightsError(
            f"the array {where!r} of the pickle is malformed, expected a shape, a kind of number and as many bytes; "
            "fetch the file again"
        )


def _is_shape(shape: tuple[object, ...]) -> bool:
    return len(shape) <= _DEEPEST and all(type(length) is int and length >= 0 for length in shape)


def _collect(tree: object, where: str, arrays: dict[str, Array], *, depth: int) -> None:
    """Put every array below `tree` into `arrays`."""
    if isinstance(tree, _PendingArray):
        if where in arrays:
            raise WeightsError(f"the pickle holds {where!r} twice, expected each array once; fetch the file again")
        arrays[where] = tree.array(where)
        return
    if not isinstance(tree, dict) or depth > _DEEPEST:
        raise WeightsError(
            f"the pickle holds {type(tree).__name__} at {where or 'its root'!r}, {depth} dicts deep, expected dicts of "
            f"arrays no deeper than {_DEEPEST}; do not use this file"
        )
    for key, value in tree.items():
        if not isinstance(key, str):
            raise WeightsError(f"the pickle holds the key {key!r} at {where!r}, expected text; do not use this file")
        _collect(value, f"{where}/{key}" if where else key, arrays, depth=depth + 1)
