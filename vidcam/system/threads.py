"""Run work in threads: prefetch items, compute results ahead, and run calls in the background.

Threads are started with signals deferred. If a start were interrupted, nobody would wait for the thread.

A caller waits in a `SimpleQueue` where it can. `Future.result` waits in Python code: a signal there may become a
RuntimeError, or leave a lock held for ever. A thread that waits for a caller is a daemon: if an interrupt keeps the
caller from closing it, the interpreter still ends.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from vidcam.system.signals import defer_signals

Item = TypeVar("Item")
Result = TypeVar("Result")
Params = ParamSpec("Params")


_MOST_THREADS = 16
"""Threads that compute ahead, where the number is chosen here: what is pending takes memory."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a generator, or of calls, and the error that was their end."""

    error: BaseException | None


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
    pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="vidcam-ahead")
    remaining = iter(items)
    try:
        pending = deque(_submit(pool, function, item) for item in islice(remaining, ahead))
        while pending:
            has_waited = not pending[0].done()
            result = pending.popleft().result()
            ahead = min(2 * most, ahead + has_waited)
            pending.extend(_submit(pool, function, item) for item in islice(remaining, ahead - len(pending)))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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
    if thread.ident is not None:
        thread.join()


def _submit(
    pool: ThreadPoolExecutor, call: Callable[Params, Result], /, *args: Params.args, **kwargs: Params.kwargs
) -> Future[Result]:
    with defer_signals():
        return pool.submit(call, *args, **kwargs)
