"""Class labels, in the order of a model's outputs."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from vidcam.errors import InputError

_MOST_BYTES = 1 << 20


def kinetics400() -> tuple[str, ...]:
    """Return the 400 labels of Kinetics-400 in alphabetical order, as in torchvision's weights metadata."""
    return _torchvision_labels("_KINETICS400_CATEGORIES", "R3D_18_Weights.KINETICS400_V1")


def imagenet() -> tuple[str, ...]:
    """Return the 1000 labels of ImageNet-1K, as in torchvision's weights metadata."""
    return _torchvision_labels("_IMAGENET_CATEGORIES", "ResNet50_Weights.IMAGENET1K_V1")


def numbered_labels(classes: int) -> tuple[str, ...]:
    """Return placeholders, 'class 0', 'class 1', …, for weights without labels."""
    return tuple(f"class {index}" for index in range(classes))


def _torchvision_labels(name: str, weights: str) -> tuple[str, ...]:
    """Return a list in torchvision's file of labels: `torchvision.models` takes seconds to import.

    If this torchvision keeps the list elsewhere, return the labels of weights that have them.
    """
    package = find_spec("torchvision")
    for folder in (package and package.submodule_search_locations) or ():
        try:
            return tuple(runpy.run_path(str(Path(folder, "models", "_meta.py")))[name])
        except (OSError, KeyError):
            continue
    from torchvision.models import get_weight

    return tuple(get_weight(weights).meta["categories"])


def read_labels(path: Path, classes: int | None = None) -> tuple[str, ...]:
    """Read the labels in a text file, see `parse_labels`.

    Raises:
        InputError: the file cannot be read, or does not contain one label per class.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as exc:
        raise InputError(f"labels {str(path)!r} cannot be read ({exc.strerror or exc})") from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"labels {str(path)!r} are not a UTF-8 text file ({exc})") from exc
    if len(content) > _MOST_BYTES:
        raise InputError(f"labels {str(path)!r} are larger than {_MOST_BYTES:,} bytes, expected {_count(classes)}")
    return parse_labels(text, classes, source=f"labels {str(path)!r}")


def parse_labels(text: str, classes: int | None, *, source: str) -> tuple[str, ...]:
    """Parse a JSON list, one label per line, or numbered lines.

    Numbers count from 0 or from 1, as in UCF101's classInd.txt: '1 ApplyEyeMakeup'.

    Args:
        text: the text.
        classes: K; None: as many as there are.
        source: where the text comes from, for the error message: "labels 'names.txt'".

    Raises:
        InputError: the text does not contain K labels.
    """
    labels = _from_json(text) if text.lstrip().startswith("[") else _from_lines(text)
    if labels is None:
        raise InputError(f"{source} are not a JSON list of strings, expected {_count(classes)}")
    classes = len(labels) if classes is None else classes
    if not labels or len(labels) != classes or not all(labels):
        empty = ", some of them empty" if not all(labels) else ""
        raise InputError(f"{source} have {len(labels)} labels{empty}, expected {classes}: one per class")
    return labels


def count_labels(labels: str | Path | Sequence[str]) -> int:
    """Count the labels of a file or a sequence.

    Raises:
        InputError: the file cannot be read, or has no labels.
    """
    return len(read_labels(Path(labels)) if isinstance(labels, str | Path) else labels)


def _count(classes: int | None) -> str:
    return "labels" if classes is None else f"{classes} labels"


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
        labels = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tuple(label.strip() for label in labels) if all(isinstance(label, str) for label in labels) else None


def _from_lines(text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.strip().splitlines()]
    matches = [re.fullmatch(r"(\d{1,6})[\s,]+(\S.*)", line) for line in lines]
    numbered = {int(match[1]): match[2] for match in matches if match}
    first = min(numbered, default=0)
    if first in {0, 1} and len(numbered) == len(lines) and sorted(numbered) == list(range(first, first + len(lines))):
        return tuple(numbered[number] for number in sorted(numbered))
    return tuple(lines)
