"""The numbers of a page in one compressed block; `page/unpack.js` is the inverse.

A section lies there as byte planes: first the lowest byte of each value, then the second, and so on. Neighbours differ
in their low bytes only, so the block compresses to about half. Everything is little-endian.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import Floats
from vidcam.media import Seconds

MICROSECONDS = 1e6
STEPS = 65535
"""Steps of a cell's value between the smallest and the largest of its map."""

Kind = Literal["cells", "times", "floats", "counts"]
_TYPES: dict[Kind, str] = {"cells": "<u2", "times": "<i8", "floats": "<f4", "counts": "<u4"}


@dataclass(frozen=True, slots=True)
class Section:
    """Where an array lies in the block, and how its values are written.

    Attributes:
        kind: `cells`: uint16 q for low + q · step; `times`: int64, microseconds since the value before; `floats`:
            float32; `counts`: uint32.
        offset: first byte.
        shape: axes of the array.
        low: value of q = 0.
        step: value of one step of q.
    """

    kind: Kind
    offset: int
    shape: tuple[int, ...]
    low: float = 0.0
    step: float = 1.0


class PackedBlock:
    """Collects the sections of a page."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def cells(self, values: Floats) -> Section:
        """Add raw maps. A value is off by at most half a step, that is, 1 / 131070 of the maps' range."""
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        step = (high - low) / STEPS or 1.0
        steps = np.round((values.astype(np.float64) - low) / step)
        return self._add("cells", steps, values.shape, low, step)

    def times(self, seconds: Seconds) -> Section:
        """Add time stamps, rounded to microseconds."""
        stamps = np.round(np.asarray(seconds, dtype=np.float64).ravel() * MICROSECONDS).astype(np.int64)
        return self._add("times", np.diff(stamps, prepend=0), seconds.shape)

    def floats(self, values: Floats) -> Section:
        """Add float32 values; NaN stays NaN, and what is too large becomes infinite."""
        with np.errstate(over="ignore"):
            return self._add("floats", values, values.shape)

    def counts(self, values: NDArray[np.integer[Any]]) -> Section:
        """Add integers from 0."""
        return self._add("counts", values, values.shape)

    def _add(
        self, kind: Kind, values: NDArray[Any], shape: tuple[int, ...], low: float = 0.0, step: float = 1.0
    ) -> Section:
        dtype = np.dtype(_TYPES[kind])
        items = np.ascontiguousarray(values.ravel(), dtype=dtype)
        planes = items.view(np.uint8).reshape(-1, dtype.itemsize).T
        section = Section(kind, self._length, shape, low, step)
        self._parts.append(planes.tobytes())
        self._length += items.nbytes
        return section

    def to_base64(self) -> str:
        """Return the block, compressed by zlib, as text."""
        return b64encode(zlib.compress(b"".join(self._parts), 6)).decode("ascii")
