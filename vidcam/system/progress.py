"""Report the progress of long work to a callback, and measure the time of each stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from threading import Lock
from typing import TypeVar

Item = TypeVar("Item")

Progress = Callable[[str, float, float | None], None]
"""Callback with the name of the stage, the amount done, and the total amount (None: unknown)."""


def silent(_stage: str, _done: float, _total: float | None) -> None:
    """Report nothing; the default callback."""


class StageTimer:
    """Measure the seconds spent in each stage, summed over threads.

    If stages overlap, the sum of all stages is more than the wall time.

    Attributes:
        seconds: name of a stage → seconds.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of this block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + elapsed

    def timed(self, name: str, items: Generator[Item, None, None]) -> Generator[Item, None, None]:
        """Yield the items of a generator, and add the time to make each of them to a stage.

        Closing the returned generator closes `items`.
        """
        with closing(items):
            while True:
                with self.stage(name):
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item
