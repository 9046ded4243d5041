"""Run work in threads: prefetch items, compute results ahead, and run calls in the background.

Threads are started with signals deferred. If a start were interrupted, nobody would wait for the thread.

A caller waits in a `SimpleQueue`. `Future.result` waits in Python code: a signal there may become a RuntimeError, or
leave a lock held for ever. Threads are daemons: if an interrupt keeps the caller from closing one, the interpreter
still ends.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

from vidcam.system.signals import defer_signals

Item = TypeVar("Item")
Result = TypeVar("Result")
Params = ParamSpec("Params")


_MOST_THREADS = 16
"""Threads that compute ahead, where the number is chosen here: what is pending takes memory."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a generator, and the error that was its end."""

    error: BaseException | None


@dataclass(frozen=True, slots=True)
class _Failed:
    """What a call raised, in place of its result."""

    error: BaseException


def prefetch(items: Generator[Item, None, None], *, depth: int) -> Generator[Item, None, None]:
    """Yield the same items in the same order, made up to `depth` items ahead in another thread.

    An exception of the generator is raised in place of its item. Closing the returned generator closes `items`.
    """
    made, room, is_closed = SimpleQueue[Item | _End](), SimpleQueue[None](), False
    for _ in range(depth - 1):
        room.put(None)

    def produce() -> None:
        try:
            for item in items:
                made.put(item)
                room.get()
                if is_closed:
                    break
        except BaseException as exc:
            made.put(_End(exc))
        else:
            made.put(_End(None))

    thread = threading.Thread(target=produce, name="vidcam-prefetch", daemon=True)
    try:
        _start(thread)
        while not isinstance(item := made.get(), _End):
            room.put(None)
            yield item
        if item.error is not None:
            try:
                raise item.error
            finally:
                del item  # a cycle with the traceback would keep the last items in memory
    finally:
        is_closed = True
        room.put(None)
        try:
            _join(thread)
        finally:
            items.close()


def map_in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Generator[Result, None, None]:
    """Yield `function(item)` for each item, in order, computed ahead in threads.

    At most two results for each thread are pending. An exception is raised in place of its result. Closing the
    returned generator waits for the calls that are running.

    Args:
        function: called in the threads.
        items: its arguments.
        workers: number of threads. None: two results are pending at first, and one more after each time that the
            caller had to wait, up to two for each core or for 16 cores.
    """
    most = workers or min(os.cpu_count() or 1, _MOST_THREADS)
    ahead = 2 * workers if workers else 2
    threads, remaining = _Threads[Result](most), iter(items)
    try:
        pending = deque(threads.submit(partial(function, item), ahead) for item in islice(remaining, ahead))
        while pending:
            has_waited = pending[0].empty()
            result = pending.popleft().get()
            if isinstance(result, _Failed):
                try:
                    raise result.error
                finally:
                    del result  # a cycle with the traceback would keep pending results in memory
            ahead = min(2 * most, ahead + has_waited)
            more = islice(remaining, ahead - len(pending))
            pending.extend(threads.submit(partial(function, item), ahead) for item in more)
            yield result
    finally:
        threads.close()


class _Threads(Generic[Result]):
    """Up to `most` threads that run calls. Each result comes through a queue of its own."""

    def __init__(self, most: int) -> None:
        self._most, self._threads = most, list[threading.Thread]()
        self._calls = SimpleQueue[tuple[Callable[[], Result], SimpleQueue[Result | _Failed]] | None]()

    def submit(self, call: Callable[[], Result], wanted: int) -> SimpleQueue[Result | _Failed]:
        """Add a call, and a thread if there are fewer than `wanted`."""
        made = SimpleQueue[Result | _Failed]()
        self._calls.put((call, made))
        if len(self._threads) < min(wanted, self._most):
            self._threads.append(threading.Thread(target=self._run, name="vidcam-ahead", daemon=True))
            _start(self._threads[-1])
        return made

    def close(self) -> None:
        """Drop the calls that have not begun, and wait for the others."""
        try:
            with suppress(Empty):
                while True:
                    self._calls.get_nowait()
        finally:
            for _ in self._threads:
                self._calls.put(None)
        for thread in self._threads:
            _join(thread)

    def _run(self) -> None:
        while (work := self._calls.get()) is not None:
            call, made = work
            try:
                made.put(call())
            except BaseException as exc:
                made.put(_Failed(exc))
            del work, call, made  # while it waits, a thread keeps no result


class BackgroundWorker:
    """Run calls one after the other in a background thread.

    A context manager. An exception of a call is raised by a later `submit`, or at the end of the block. If the block
    fails, pending calls are dropped.

    Args:
        depth: largest number of calls that are pending or running.
        thread_name: prefix for the name of the thread.
    """

    def __init__(self, *, depth: int, thread_name: str = "vidcam-background") -> None:
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)
        self._calls, self._room = SimpleQueue[Callable[[], object] | None](), SimpleQueue[None]()
        self._ended = SimpleQueue[None]()
        self._error: BaseException | None = None
        for _ in range(depth):
            self._room.put(None)

    def submit(self, call: Callable[Params, object], /, *args: Params.args, **kwargs: Params.kwargs) -> None:
        """Add a call to the queue; wait while `depth` calls are pending."""
        if self._thread.ident is None:
            _start(self._thread)
        self._room.get()
        if self._error is not None:
            self._room.put(None)
            raise self._error
        self._calls.put(partial(call, *args, **kwargs))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.put(None)
        raised = error
        try:
            if error is None and self._thread.ident is not None:
                self._ended.get()
        except BaseException as exc:  # an interrupt
            raised = exc
            raise
        finally:
            self._error = self._error or raised  # drops pending calls
            _join(self._thread)
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                if self._error is None:
                    call()
            except BaseException as exc:
                self._error = exc
            self._room.put(None)
        self._ended.put(None)


def _start(thread: threading.Thread) -> None:
    with defer_signals():
        thread.start()


def _join(thread: threading.Thread) -> None:
    """Wait for a thread that was started; not while the interpreter ends, when a daemon no longer runs."""
    if thread.ident is not None and not sys.is_finalizing():
        thread.join()
