"""Work that overlaps: items made ahead in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from vidcam.system.signals import defer_signals

Item = TypeVar("Item")
Made = TypeVar("Made")


class _End:
    """What comes after the last item."""


_END = _End()


def prefetch(items: Generator[Item, None, None], *, depth: int) -> Generator[Item, None, None]:
    """The same items in the same order, made `depth` ahead in a thread of their own.

    An exception of the generator is raised where its item would have come. Closing this closes the generator.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vidcam-prefetch")
    try:
        with defer_signals():  # a pool does not wait for a thread whose start was interrupted
            pending: deque[Future[Item | _End]] = deque(pool.submit(next, items, _END) for _ in range(depth))
        while not isinstance(item := pending.popleft().result(), _End):
            pending.append(pool.submit(next, items, _END))
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
        with defer_signals():
            pending = deque(pool.submit(function, item) for item in islice(ahead, 2 * workers))
        while pending:
            made = pending.popleft().result()
            with defer_signals():
                pending.extend(pool.submit(function, item) for item in islice(ahead, 1))
            yield made
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
