"""Stages that overlap, the time that each takes, and the report of progress."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from threading import Lock
from typing import TypeVar

from vidcam.system.signals import held_back

Item = TypeVar("Item")
Made = TypeVar("Made")


class _End:
    """What comes after the last item."""


_END = _End()


class Clock:
    """Seconds spent in each stage, summed over threads; stages that overlap add up to more than the wall time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of this block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + elapsed

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


def map_ahead(function: Callable[[Item], Made], items: Iterable[Item], *, workers: int) -> Generator[Made, None, None]:
    """`function` of each item, in order, computed ahead by `workers` threads; at most two results a thread wait.

    An exception is raised where its result would have come. Closing this waits for what is being computed.
    """
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="vidcam-ahead")
    ahead = iter(items)
    try:
        with held_back():
            pending = deque(pool.submit(function, item) for item in islice(ahead, 2 * workers))
        while pending:
            made = pending.popleft().result()
            with held_back():
                pending.extend(pool.submit(function, item) for item in islice(ahead, 1))
            yield made
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
