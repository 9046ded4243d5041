"""Names of classes, in the order of the models' outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from vidcam.errors import InputError

_MOST_BYTES = 1 << 20


def kinetics400() -> tuple[str, ...]:
    """The 400 classes of Kinetics-400, alphabetical, as torchvision lists them with its weights."""
    from torchvision.models.video import R3D_18_Weights

    return tuple(R3D_18_Weights.KINETICS400_V1.meta["categories"])


def read_labels(path: Path, classes: int) -> tuple[str, ...]:
    """Labels out of a text file, see `parse_labels`.

    Raises:
        InputError: the file cannot be read, or does not name each class once.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(
            f"labels {str(path)!r} cannot be read ({exc}), expected a text file in UTF-8; pass one that is there"
        ) from exc
    if len(content) > _MOST_BYTES:
        raise InputError(f"labels {str(path)!r} are over {_MOST_BYTES:,} bytes, expected {classes} names; pass these")
    return parse_labels(text, classes, source=str(path))


def parse_labels(text: str, classes: int, *, source: str) -> tuple[str, ...]:
    """A JSON list, a name a line, or numbered lines as in UCF101's classInd.txt, '1 ApplyEyeMakeup', from 1 or from 0.

    Args:
        text: the labels.
        classes: K.
        source: for the sentence of an error.

    Raises:
        InputError: they are not K names.
    """
    names = _from_json(text) if text.lstrip().startswith("[") else _from_lines(text)
    if names is None or len(names) != classes or not all(names):
        got = "a JSON document of another form" if names is None else f"{len(names)} labels"
        got += " with empty ones among them" if names and not all(names) else ""
        raise InputError(
            f"{source} has {got}, expected {classes}, one a line or as a JSON list; pass one name for each class, in "
            "the order of the outputs"
        )
    return names


def check_labels(labels: Sequence[str], classes: int) -> tuple[str, ...]:
    """Labels as a tuple.

    Raises:
        InputError: they are not K, or one is empty.
    """
    if len(labels) != classes or not all(labels):
        raise InputError(f"labels has {len(labels)} entries, expected {classes}, one a class")
    return tuple(labels)


def _from_json(text: str) -> tuple[str, ...] | None:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tuple(name.strip() for name in names) if all(isinstance(name, str) for name in names) else None


def _from_lines(text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.strip().splitlines()]
    found = [re.fullmatch(r"(\d{1,6})[\s,]+(\S.*)", line) for line in lines]
    numbered = {int(match[1]): match[2] for match in found if match}
    first = min(numbered, default=0)
    if first in {0, 1} and len(numbered) == len(lines) and sorted(numbered) == list(range(first, first + len(lines))):
        return tuple(numbered[number] for number in sorted(numbered))
    return tuple(lines)
