"""Ctrl-C, being terminated, a terminal that is closed: one KeyboardInterrupt, and not in the middle of tidying up.

A signal often comes more than once: a key is held, or a shell and its parent both pass it on. The second one must not
interrupt what the first one set off. And a signal while modules are imported must not be an exception there: some
swallow it, or go on half-imported and fail at something else.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

REPEAT_SECONDS = 2.0
"""Signals that follow one within this time are the same one."""

INTERRUPTED = 130
"""The exit code."""

SENTENCE = "interrupted; nothing half-written was left"

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Process:
    """Whether the process is vidcam's own, so that it may be ended."""

    is_own = False


def begin_process() -> None:
    """Called first in a process of vidcam's own: a signal says the sentence and ends it, until `interruptible`."""
    _Process.is_own = True
    for number in _heeded():
        signal.signal(number, _leave)


@contextmanager
def loading() -> Iterator[None]:
    """In the block, where modules are imported, a signal ends a process of vidcam's own at once; others let it wait."""
    if not _Process.is_own:
        with defer_signals():
            yield
        return
    former = [(number, signal.signal(number, _leave)) for number in _heeded()]
    try:
        yield
    finally:
        for number, handler in former:
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """In the block, the signals raise KeyboardInterrupt, once; one that is ignored, as by nohup, stays ignored."""
    interrupt = Interruption()
    former = [(number, signal.signal(number, interrupt)) for number in _heeded()]
    try:
        yield interrupt
    finally:
        for number, handler in former:
            signal.signal(number, handler)


@contextmanager
def defer_signals() -> Iterator[None]:
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


class Interruption:
    """A signal handler that raises KeyboardInterrupt, but not again for a repeat.

    Attributes:
        has_come: whether it did.
    """

    def __init__(self) -> None:
        self._last_seconds, self.has_come = -REPEAT_SECONDS, False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Raise, unless the signal is a repeat."""
        now = time.monotonic()
        is_repeat = now - self._last_seconds < REPEAT_SECONDS
        self._last_seconds, self.has_come = now, True
        if not is_repeat:
            raise KeyboardInterrupt


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    with suppress(OSError):
        os.write(2, f"vidcam: {SENTENCE}\n".encode())
    os._exit(INTERRUPTED)


def _heeded() -> list[int]:
    return [number for number in _listened_to() if signal.getsignal(number) is not signal.SIG_IGN]


def _listened_to() -> list[int]:
    """The signals whose handlers can be exchanged and put back: none outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in _SIGNALS if signal.getsignal(number) is not None]
