"""How long work tells how far it is: a callback, called as it goes on."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float, float | None], None]
"""What is being done, how much of it is done, and of how much (None: unknown)."""


def silent(_stage: str, _done: float, _total: float | None) -> None:
    """Progress that nobody watches."""
