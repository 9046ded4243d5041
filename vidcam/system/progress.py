"""Progress of long work: the callback that is told how far it is, and the time that each stage takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from threading import Lock
from typing import TypeVar

Item = TypeVar("Item")

Progress = Callable[[str, float, float | None], None]
"""Stage, how much of it is done, and of how much (None: unknown)."""


def silent(_stage: str, _done: float, _total: float | None) -> None:
    """Progress that nobody watches."""


class StageTimer:
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
        """Yield the same items and count the time of making each to a stage; closing this closes the generator."""
        with closing(items):
            while True:
                with self.stage(name):
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item
