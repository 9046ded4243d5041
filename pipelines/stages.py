"""Stages that overlap, the time that each takes, and the report of progress."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TypeVar

from vidcam.interrupts import held_back

Item = TypeVar("Item")


class _End:
    """What comes after the last item."""


_END = _End()


class Clock:
    """Seconds spent in each stage, summed over threads; stages that overlap add up to more than the wall time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of this block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def timed(self, name: str, items: Generator[Item, None, None]) -> Generator[Item, None, None]:
        """The same items, the time of making each counted to a stage; closing this closes the generator."""
        with closing(items):
            while True:
                with self.stage(name):
                    item = next(items, _END)
                if isinstance(item, _End):
                    return
                yield item


def prefetch(items: Generator[Item, None, None], *, depth: int) -> Generator[Item, None, None]:
    """The same items in the same order, made `depth` ahead in a thread of their own.

    An exception of the generator is raised where its item would have come. Closing this closes the generator.
    """
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vidcam-prefetch")
    try:
        with held_back():  # a pool does not wait for a thread whose start was interrupted
            pending: deque[Future[Item | _End]] = deque(pool.submit(next, items, _END) for _ in range(depth))
        while not isinstance(item := pending.popleft().result(), _End):
            pending.append(pool.submit(next, items, _END))
            yield item
    finally:
        try:
            pool.shutdown(wait=True, cancel_futures=True)
        finally:
            items.close()
