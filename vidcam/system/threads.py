"""Run work in threads: prefetch items, compute results ahead, and run calls in the background.

Work is submitted to a pool with signals deferred. Submitting may start a thread. If that were interrupted, the pool
would not wait for this thread.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
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


class _Sentinel:
    """Type of the value that marks the end of a generator."""


_SENTINEL = _Sentinel()


def prefetch(items: Generator[Item, None, None], *, depth: int) -> Generator[Item, None, None]:
    """Yield the same items in the same order, made up to `depth` items ahead in another thread.

    An exception of the generator is raised in place of its item. Closing the returned generator closes `items`.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vidcam-prefetch")
    made, room, is_closed = SimpleQueue[Item | _Sentinel](), SimpleQueue[None](), False
    for _ in range(depth - 1):
        room.put(None)

    def produce() -> None:
        try:
            for item in items:
                made.put(item)
                room.get()
                if is_closed:
                    break
        finally:
            made.put(_SENTINEL)

    try:
        running = _submit(pool, produce)
        while not isinstance(item := made.get(), _Sentinel):
            room.put(None)
            yield item
        running.result()
    finally:
        is_closed = True
        room.put(None)
        try:
            pool.shutdown(wait=True, cancel_futures=True)
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
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread_name)
        self._calls, self._room = SimpleQueue[Callable[[], object] | None](), SimpleQueue[None]()
        self._running: Future[None] | None = None
        self._error: BaseException | None = None
        for _ in range(depth):
            self._room.put(None)

    def submit(self, call: Callable[Params, object], /, *args: Params.args, **kwargs: Params.kwargs) -> None:
        """Add a call to the queue; wait while `depth` calls are pending."""
        if self._running is None:
            self._running = _submit(self._pool, self._run)
        self._room.get()
        if self._error is not None:
            raise self._error
        self._calls.put(partial(call, *args, **kwargs))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.put(None)
        try:
            if error is None and self._running is not None:
                self._running.result()
        except BaseException as exc:  # of a call, or an interrupt
            error = exc
            raise
        finally:
            self._error = self._error or error  # drops pending calls
            self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                if self._error is None:
                    call()
            except BaseException as exc:
                self._error = exc
            self._room.put(None)
        if self._error is not None:
            raise self._error


def _submit(
    pool: ThreadPoolExecutor, call: Callable[Params, Result], /, *args: Params.args, **kwargs: Params.kwargs
) -> Future[Result]:
    with defer_signals():
        return pool.submit(call, *args, **kwargs)
