"""From a label to a class index."""

from __future__ import annotations

from collections.abc import Sequence

from vidcam.errors import InputError, name_not_found

_MOST_DIGITS = 18  # of a class index; Python refuses to read very long numbers


def label_index(labels: Sequence[str], label_or_index: str | int, *, model: str) -> int:
    """Index of a class given by its label (in any case) or by its index, as a number or as text.

    Args:
        labels: K labels, in the order of the outputs.
        label_or_index: the class.
        model: name of the model, for the error.

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
    """Check that a class index is in [0, K).

    Raises:
        InputError: it is out of range.
    """
    if not 0 <= index < classes:
        raise InputError(f"class index {index} is out of range for {model!r}: pass 0 to {classes - 1}")
