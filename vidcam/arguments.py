"""Arguments that may be one value or several."""

from __future__ import annotations

from collections.abc import Iterable


def as_tuple(values: str | int | Iterable[str | int]) -> tuple[str | int, ...]:
    """Return one or several labels or indices as a tuple. A value of another type is one too, to be refused by name."""
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (values,)


def split_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return names as a tuple, without spaces around them; 'a, b' is two names."""
    parts = (part.strip() for name in ([names] if isinstance(names, str) else names) for part in name.split(","))
    return tuple(part for part in parts if part)
