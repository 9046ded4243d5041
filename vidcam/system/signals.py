"""Turn signals (Ctrl-C, termination, closed terminal) into one KeyboardInterrupt, and defer them during clean-up.

A signal often arrives more than once: a key is held down, or a shell and its parent both send it. A repeated signal
must not interrupt the clean-up that the first one started.

While modules are imported, a signal must not raise an exception. Some modules swallow it, or stay half-imported and
fail later with another error.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

REPEAT_SECONDS = 2.0
"""Signals that follow one another within this time count as one."""

INTERRUPTED = 130
"""Exit code of an interrupted process."""

INTERRUPTED_MESSAGE = "interrupted; nothing half-written was left"

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Process:
    """Whether vidcam owns this process, and may therefore end it."""

    is_own = False


def exit_on_signals() -> None:
    """Let signals end this process with a message, until `interruptible` is entered.

    For a process that runs only vidcam. Call this first.
    """
    _Process.is_own = True
    for number in _active_signals():
        signal.signal(number, _exit)


@contextmanager
def loading() -> Iterator[None]:
    """Protect a block that imports modules.

    If vidcam owns the process, a signal ends it at once. In other processes, signals are deferred to the end of the
    block.
    """
    with _handled(_exit, _active_signals()) if _Process.is_own else defer_signals():
        yield


@contextmanager
def interruptible() -> Iterator[InterruptHandler]:
    """Raise one KeyboardInterrupt in the block for signals. Signals that are ignored, as by nohup, stay ignored."""
    interrupt_handler = InterruptHandler()
    with _handled(interrupt_handler, _active_signals()):
        yield interrupt_handler


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer signals during the block. The first one is delivered at its end."""
    deferred: list[int] = []
    try:
        with _handled(lambda number, _: deferred.append(number), _replaceable_signals()):
            yield
    finally:
        if deferred:
            signal.raise_signal(deferred[0])


class InterruptHandler:
    """A signal handler that raises KeyboardInterrupt, but not for repeated signals.

    Attributes:
        is_interrupted: whether a signal has arrived.
    """

    def __init__(self) -> None:
        self._last_seconds, self.is_interrupted = -REPEAT_SECONDS, False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, unless the signal is a repetition."""
        now = time.monotonic()
        is_repeat = now - self._last_seconds < REPEAT_SECONDS
        self._last_seconds, self.is_interrupted = now, True
        if not is_repeat:
            raise KeyboardInterrupt


def _exit(_number: int, _frame: FrameType | None) -> NoReturn:
    with suppress(OSError):
        os.write(2, f"vidcam: {INTERRUPTED_MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], numbers: Sequence[int]) -> Iterator[None]:
    former_handlers = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, former_handler in former_handlers:
            signal.signal(number, former_handler)


def _active_signals() -> list[int]:
    """Return the signals that are not ignored."""
    return [number for number in _replaceable_signals() if signal.getsignal(number) is not signal.SIG_IGN]


def _replaceable_signals() -> list[int]:
    """Return the signals whose handlers can be replaced and restored; outside the main thread there are none."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in _SIGNALS if signal.getsignal(number) is not None]
