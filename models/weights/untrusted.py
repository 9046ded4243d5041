"""Load NumPy arrays from a published pickle whose hash is pinned.

Loading a pickle can run code. This unpickler allows only the three globals of an array, `_reconstruct`, `ndarray` and
`dtype`. What they are called with is not checked, so it must read no other file.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import WeightsError

Array = NDArray[Any]

_GLOBALS = frozenset({"numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"})


def load_arrays(path: Path) -> dict[str, Array]:
    """Read a pickled nested dict of numpy arrays.

    Args:
        path: a pickle of protocol 3 or 4, in which numpy pickles arrays through `_reconstruct`.

    Returns:
        The arrays in the pickle's order. Their names are the keys joined with '/',
        'params/Conv3d_1a_7x7/Conv_0/kernel'.

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


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module.replace('numpy._core', 'numpy.core')}.{name}" in _GLOBALS:
            return super().find_class(module, name)
        raise WeightsError(
            f"the pickle contains code ({module}.{name}), expected only numpy arrays; nothing was run: do not use this "
            "file"
        )


def _arrays(tree: object, name: str) -> Iterator[tuple[str, Array]]:
    if isinstance(tree, np.ndarray):
        if tree.dtype.kind not in "fiub":
            raise WeightsError(f"array {name!r} of the pickle is not of numbers; do not use this file")
        yield name, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _arrays(value, f"{name}/{key}" if name else str(key))
    else:
        raise WeightsError(
            f"the pickle has a {type(tree).__name__} at {name or 'its root'!r}, expected a dict of arrays; do not use "
            "this file"
        )
