"""Ctrl-C, being terminated, a terminal that is closed: one KeyboardInterrupt, and not in the middle of tidying up.

A signal often comes more than once: a key is held, or a shell and its parent both pass it on. The second one must not
interrupt what the first one set off.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REPEAT_SECONDS = 2.0
"""Signals that follow one within this time are the same one."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interruptible() -> Iterator[None]:
    """In the block, the signals raise KeyboardInterrupt, once; one that is ignored, as by nohup, stays ignored."""
    interrupt = _Interrupt()
    chosen = [number for number in _listened_to() if signal.getsignal(number) is not signal.SIG_IGN]
    former = [(number, signal.signal(number, interrupt)) for number in chosen]
    try:
        yield
    finally:
        for number, handler in former:
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """In the block, the signals wait; the first one is delivered at its end."""
    waiting: list[int] = []
    former = [(number, signal.signal(number, lambda number, _: waiting.append(number))) for number in _listened_to()]
    try:
        yield
    finally:
        for number, handler in former:
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


class _Interrupt:
    """A signal handler that raises KeyboardInterrupt, but not again for a repeat."""

    def __init__(self) -> None:
        self._last_seconds = -REPEAT_SECONDS

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        is_repeat = now - self._last_seconds < REPEAT_SECONDS
        self._last_seconds = now
        if not is_repeat:
            raise KeyboardInterrupt


def _listened_to() -> list[int]:
    """The signals whose handlers can be exchanged and put back: none outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in _SIGNALS if signal.getsignal(number) is not None]
