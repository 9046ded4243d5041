"""Work that overlaps: items made ahead in threads, and calls that run behind in one.

Work is always handed to a pool with signals deferred. This may start a thread, and a pool does not wait for a thread
whose start was interrupted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from vidcam.system.signals import defer_signals

Item = TypeVar("Item")
Made = TypeVar("Made")
Given = ParamSpec("Given")


class _End:
    """What comes after the last item."""


_END = _End()


def prefetch(items: Generator[Item, None, None], *, depth: int) -> Generator[Item, None, None]:
    """The same items in the same order, made `depth` ahead in a thread of their own.

    An exception of the generator is raised where its item would have come. Closing this closes the generator.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vidcam-prefetch")
    try:
        pending: deque[Future[Item | _End]] = deque(_submit(pool, next, items, _END) for _ in range(depth))
        while not isinstance(item := pending.popleft().result(), _End):
            pending.append(_submit(pool, next, items, _END))
            yield item
    finally:
        try:
            pool.shutdown(wait=True, cancel_futures=True)
        finally:
            items.close()


def map_ahead(function: Callable[[Item], Made], items: Iterable[Item], *, workers: int) -> Generator[Made, None, None]:
    """`function` of each item, in order, computed ahead by `workers` threads; at most two results a thread wait.

    An exception is raised where its result would have come. Closing this waits for what is being computed.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="vidcam-ahead")
    ahead = iter(items)
    try:
        pending = deque(_submit(pool, function, item) for item in islice(ahead, 2 * workers))
        while pending:
            made = pending.popleft().result()
            pending.extend(_submit(pool, function, item) for item in islice(ahead, 1))
            yield made
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class BackgroundWorker:
    """Run calls one after the other in a thread of their own; at most `depth` of them wait or run.

    A context manager. What a call raises is raised by a later `submit` or at the end of the block. A block that fails
    drops the calls that wait.
    """

    def __init__(self, *, depth: int, thread_name: str = "vidcam-background") -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread_name)
        self._pending: deque[Future[object]] = deque()
        self._depth = depth

    def submit(self, call: Callable[Given, object], /, *args: Given.args, **kwargs: Given.kwargs) -> None:
        """Hand a call over; waits while `depth` calls are pending."""
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
    pool: ThreadPoolExecutor, call: Callable[Given, Made], /, *args: Given.args, **kwargs: Given.kwargs
) -> Future[Made]:
    with defer_signals():
        return pool.submit(call, *args, **kwargs)
