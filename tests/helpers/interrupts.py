"""An interrupt at a chosen moment: a KeyboardInterrupt as Python enters a function or begins a line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from types import FrameType, TracebackType
from typing import Any, Self

Place = tuple[str, str, int]
"""File, event (`call` or `line`), line."""


class Interrupter:
    """Traces the functions of some files, and interrupts at one of their events.

    Attributes:
        places: where it has been so far.
    """

    def __init__(self, files: Collection[str], *, at: int | None = None) -> None:
        """Files are ends of paths; `at` counts events from 0, None only listens."""
        self._files, self._at = tuple(files), at
        self.places: list[Place] = []
        self._former = sys.gettrace()  # coverage's, or a debugger's

    def __enter__(self) -> Self:
        sys.settrace(self._trace)
        return self

    def __exit__(self, _kind: type[BaseException] | None, _exc: BaseException | None, _: TracebackType | None) -> None:
        sys.settrace(self._former)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.endswith(self._files):
            return None
        if event in ("call", "line"):
            self.places.append((frame.f_code.co_filename, event, frame.f_lineno))
            if len(self.places) - 1 == self._at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._trace
