"""Random damage to bytes, JSON documents and arrays."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

BAD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 10**9, -(10**30), int("9" * 400), 0.5, -0.0, 1e308, -1e308, float("nan"), float("inf")),
    *(
        "",
        "a",
        "\0",
        "//host/path",
        "../..",
        "=1+1",
        "\x1b[2J\u202e",
        "<b>",
        "1/0",
        "1e999999999",
        "9" * 400,
        "a" * 5000,
    ),
    *([], {}, [[]], [1e308] * 4, {"a": 1}, [None], [{"start": 0, "end": 9, "boxes": [[1e308] * 4] * 9}]),
)


def changed_bytes(content: bytes, draw: random.Random) -> bytes:
    """Flip, zero, cut, repeat or insert some bytes."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 3, 20))):
        place, length = draw.randrange(max(1, len(data))), draw.choice((1, 4, 64))
        match draw.randrange(5):
            case 0:
                data[place : place + length] = draw.randbytes(length)
            case 1:
                data[place : place + length] = bytes(length)
            case 2:
                data[place:] = b"" if draw.random() < 0.5 else data[place : place + length]
            case 3:
                data[place:place] = data[place : place + length]
            case _:
                data[place : place + length] = b"\xff" * length
    return bytes(data)


def changed_json(value: Any, draw: random.Random) -> Any:
    """Replace, remove or double one value somewhere in a document."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        if draw.random() < 0.1:
            return {name: part for name, part in value.items() if name != key}
        return value | {key: changed_json(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.8:
        index = draw.randrange(len(value))
        if draw.random() < 0.2:
            return [*value, *value[index:]]
        return [*value[:index], changed_json(value[index], draw), *value[index + 1 :]]
    return draw.choice(BAD_VALUES)


def changed_array(array: Any, draw: random.Random) -> Any:
    """Change the dtype, the shape or the values of an array."""
    values = draw.choice((np.nan, np.inf, -1.0, 1e300, 0.0, 99.0))
    with np.errstate(all="ignore"):
        return draw.choice(
            (
                lambda: np.full_like(array, values, dtype=np.float64),
                lambda: array[..., :0],
                lambda: array[:1],
                lambda: array.astype(draw.choice(("f2", "f4", "f8", "i1", "?", "U3", "c8")), copy=False),
                lambda: np.asfortranarray(array),
                lambda: array[None],
                array.ravel,
                lambda: np.zeros((draw.choice((1, 1 << 10, 1 << 25)),), np.int8),
            )
        )()
