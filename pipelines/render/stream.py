"""A film played through once: decoded ahead, drawn, and encoded behind, each in a thread of its own.

Frames wait in short queues, so that memory does not grow with the film; what fails in a thread is raised where the
next frame is handed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from types import TracebackType
from typing import Protocol, Self

from vidcam.media import Frames
from vidcam.system.signals import held_back
from vidcam.system.threads import Clock, prefetch

AHEAD, BEHIND = 4, 2
"""Frames that wait at most before they are drawn, and before they are encoded."""


class Sink(Protocol):
    """What takes frames as they come; a context manager that leaves a whole result, or none."""

    def write(self, frame: Frames, pts_seconds: float, /) -> None:
        """Take a frame and when it is first displayed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...


class Behind:
    """Writes into a sink from a thread of its own, a few frames behind."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink, self._clock = sink, clock
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vidcam-encode")
        self._waiting: deque[Future[None]] = deque()
        self._is_running = False

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Hand a frame over; waits while too many are waiting already."""
        while len(self._waiting) >= BEHIND:
            self._waiting.popleft().result()
        with nullcontext() if self._is_running else held_back():  # a thread's start must not be interrupted
            self._waiting.append(self._pool.submit(self._encode, frame, pts_seconds))
        self._is_running = True

    def _encode(self, frame: Frames, pts_seconds: float) -> None:
        with self._clock.stage("encode"):
            self._sink.write(frame, pts_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while kind is None and self._waiting:
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)


def played(
    frames: Generator[tuple[float, Frames], None, None], clock: Clock
) -> AbstractContextManager[Generator[tuple[float, Frames], None, None]]:
    """The frames of a film, decoded ahead."""
    return closing(prefetch(clock.timed("decode for drawing", frames), depth=AHEAD))


def opened(stack: ExitStack, sink: AbstractContextManager[Sink], clock: Clock) -> Behind:
    """A sink that is written to behind; closed, after the last frame, with the stack."""
    return stack.enter_context(Behind(stack.enter_context(sink), clock))
