"""Report the progress of long work to a callback, and measure the time of each stage."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from threading import Lock
from typing import Any, TypeVar

Item = TypeVar("Item")

_REDRAWN_AFTER_SECONDS = 0.2

Progress = Callable[[str, float, float | None], None]
"""Callback with the name of the stage, the amount done, and the total amount (None: unknown)."""


def silent(_stage: str, _done: float, _total: float | None) -> None:
    """Report nothing; the default callback."""


def part_of(
    progress: Progress, stage: str, done: float, total: float | None, *, step: float = 1, parts: int = 1
) -> Progress:
    """Return a callback that reports parts of one step as fractions of it.

    Args:
        progress: callback of the stage.
        stage: its name.
        done: amount done before the step.
        total: total amount of the stage.
        step: amount of the step.
        parts: number of parts that follow one another; each reports from its first to its last unit.
    """
    finished = 0

    def report(_stage: str, units: float, all_units: float | None) -> None:
        nonlocal finished
        share = units / all_units if all_units else 1.0
        progress(stage, done + step * min(finished + share, parts) / parts, total)
        finished += share >= 1

    return report


class NotebookBar:
    """A progress bar in a notebook's cell, one for all stages. It needs IPython, which every notebook has."""

    def __init__(self) -> None:
        self._display: Any = None
        self._stage, self._drawn = "", 0.0

    def __call__(self, stage: str, done: float, total: float | None) -> None:
        """Draw the progress, at most a few times a second; a callback."""
        now, is_end = time.monotonic(), total is not None and done >= total
        if stage == self._stage and now - self._drawn < _REDRAWN_AFTER_SECONDS and not is_end:
            return
        self._stage, self._drawn = stage, now
        from IPython.display import HTML, display

        share = "" if not total else f' value="{done / total:.3f}" max="1"'
        page = HTML(f"<progress{share}></progress> {html.escape(stage)}")
        if self._display is None:
            self._display = display(page, display_id=True)
        else:
            self._display.update(page)


def progress_or_default(progress: Progress | None) -> Progress:
    """Return the callback; for None a bar if this is a notebook, else silence."""
    if progress is not None:
        return progress
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return NotebookBar() if hasattr(shell, "kernel") else silent  # a terminal's IPython has no kernel


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
