"""Places: which tensor of which run of a layer, written 'cnn', 'cnn#1' (second run), 'stage[0]' (first of a list).

A layer may run several times in one forward pass, and it may return several tensors in a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

_PLACE = re.compile(r"(?P<name>.*?)(?:#(?P<run>\d+))?(?:\[(?P<part>\d+)\])?")


@dataclass(frozen=True, slots=True)
class Place:
    """One output of a layer.

    Attributes:
        name: dotted name of the layer.
        run: number of the run, from 0; None: all of them.
        part: position in the list that the layer returns; None: the tensor itself, or the first of the list.
    """

    name: str
    run: int | None = None
    part: int | None = None

    def __str__(self) -> str:
        run = "" if self.run is None else f"#{self.run}"
        return f"{self.name}{run}" + ("" if self.part is None else f"[{self.part}]")


def read_place(text: str) -> Place:
    """Read 'cnn#1', 'stage[0]' or a plain name."""
    match = _PLACE.fullmatch(text)
    assert match is not None
    run, part = match["run"], match["part"]
    return Place(match["name"], None if run is None else int(run), None if part is None else int(part))


def parts_of(output: Any) -> dict[int, Tensor]:
    """Return the floating point tensors of a layer's output: position in its list or tuple → tensor; 0 for itself.

    A tensor that a list holds twice counts once.
    """
    parts: dict[int, Tensor] = {}
    for index, part in enumerate(output if isinstance(output, tuple | list) else [output]):
        is_new = isinstance(part, Tensor) and not any(part is earlier for earlier in parts.values())
        if is_new and part.is_floating_point():
            parts[index] = part
    return parts


def with_parts(output: Any, parts: Mapping[int, Tensor]) -> Any:
    """Return the same tensor, tuple, named tuple or list with other parts."""
    if not isinstance(output, tuple | list):
        return parts.get(0, output)
    values = [next((new for index, new in parts.items() if part is output[index]), part) for part in output]
    return output._make(values) if hasattr(output, "_make") else type(output)(values)
