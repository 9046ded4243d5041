"""Arguments that may be one value or several, and checks of values that the command line takes too."""

from __future__ import annotations

from collections.abc import Iterable

from vidcam.errors import InputError


def as_tuple(values: str | int | Iterable[str | int]) -> tuple[str | int, ...]:
    """Return one or several labels or indices as a tuple. A value of another type is one too, to be refused by name."""
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (values,)


def split_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple, without spaces around them; 'a, b' is two names."""
    parts = (part.strip() for name in ([names] if isinstance(names, str) else names) for part in name.split(","))
    return tuple(part for part in parts if part)


def require_one_of(option: str, value: object, known: Iterable[str]) -> None:
    """Require that the value of an option is a known name.

    Raises:
        InputError: it is not.
    """
    names = tuple(known)
    if value not in names:
        raise InputError(f"--{option.replace('_', '-')} is {value!r}; it must be one of {', '.join(names)}")


def require_range(option: str, value: float | None, least: float, most: float | None = None) -> None:
    """Require that the value of an option is in [least, most]; None, for the default, is.

    Raises:
        InputError: it is not.
    """
    if value is not None and not (least <= value and (most is None or value <= most)):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"--{option.replace('_', '-')} is {value}; it must be {limits}")
