"""Run work in threads: prefetch items, compute results ahead, and run calls in the background.

Work is submitted to a pool with signals deferred. Submitting may start a thread. If that were interrupted, the pool
would not wait for this thread.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from vidcam.system.signals import defer_signals

Item = TypeVar("Item")
Result = TypeVar("Result")
Params = ParamSpec("Params")


class _Sentinel:
    """Type of the value that marks the end of a generator."""


_SENTINEL = _Sentinel()


def prefetch(items: Generator[Item, None, None], *, depth: int) -> Generator[Item, None, None]:
    """Yield the same items in the same order, made up to `depth` items ahead in another thread.

    An exception of the generator is raised in place of its item. Closing the returned generator closes `items`.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vidcam-prefetch")
    try:
        pending: deque[Future[Item | _Sentinel]] = deque(_submit(pool, next, items, _SENTINEL) for _ in range(depth))
        while not isinstance(item := pending.popleft().result(), _Sentinel):
            pending.append(_submit(pool, next, items, _SENTINEL))
            yield item
    finally:
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
        workers: number of threads. None: one at first, and one more, up to a thread for each core, whenever the
            caller had to wait for a result.
    """
    most = workers or os.cpu_count() or 1
    allowed = workers or 1
    pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="vidcam-ahead")
    remaining = iter(items)
    try:
        pending = deque(_submit(pool, function, item) for item in islice(remaining, 2 * allowed))
        while pending:
            has_waited = not pending[0].done()
            result = pending.popleft().result()
            allowed = min(most, allowed + has_waited)
            pending.extend(_submit(pool, function, item) for item in islice(remaining, 2 * allowed - len(pending)))
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
        self._pending: deque[Future[object]] = deque()
        self._depth = depth

    def submit(self, call: Callable[Params, object], /, *args: Params.args, **kwargs: Params.kwargs) -> None:
        """Add a call to the queue; wait while `depth` calls are pending."""
        while len(self._pending) >= self._depth:
            self._pending.popleft().result()
        self._pending.append(_submit(self._pool, call, *args, **kwargs))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while kind is None and self._pending:
                self._pending.popleft().result()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _submit(
    pool: ThreadPoolExecutor, call: Callable[Params, Result], /, *args: Params.args, **kwargs: Params.kwargs
) -> Future[Result]:
    with defer_signals():
        return pool.submit(call, *args, **kwargs)
