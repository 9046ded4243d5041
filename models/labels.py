"""Names of classes, in the order of the models' outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from vidcam.errors import InputError, name_not_found

_MOST_BYTES = 1 << 20
_MOST_DIGITS = 18  # of a class index; Python refuses to read very long numbers


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


def label_index(labels: Sequence[str], label_or_index: str | int, *, model: str) -> int:
    """Index of a class given by its name (in any case) or by its index, as a number or as text.

    Args:
        labels: K names, in the order of the outputs.
        label_or_index: what was given.
        model: name of the model, for the sentence of an error.

    Raises:
        NameNotFoundError: no class has this name.
        InputError: the index is not one of the K classes.
    """
    text = str(label_or_index).strip()
    folded = [label.casefold() for label in labels]
    if isinstance(label_or_index, str) and text.casefold() in folded:
        return labels.index(text) if text in labels else folded.index(text.casefold())
    if text.removeprefix("-").isdecimal() and len(text) <= _MOST_DIGITS:
        require_class(int(text), len(labels), model=model)
        return int(text)
    raise name_not_found("label", text, labels, f"pass a label of {model!r} or an index from 0 to {len(labels) - 1}")


def require_class(index: int, classes: int, *, model: str) -> None:
    """Check that a class index is one of a model's.

    Raises:
        InputError: it is not.
    """
    if not 0 <= index < classes:
        raise InputError(
            f"class index {index} is out of range; {model!r} has {classes} classes; pass 0 to {classes - 1}"
        )


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
