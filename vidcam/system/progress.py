"""How long work tells how far it is: a callback, called as it goes on; and how long several passes will take together.

A work of several passes announces them all before it begins, each by `expect`. What is left is then known from the
start: of those ahead by what they were expected to take, of the pass that runs more and more by its own speed. A pass
begins with what comes but once (a scale, fonts, an encoder), from which its first frames' speed would be wrong by far.
"""

from __future__ import annotations

import time
from collections.abc import Callable

TRUSTED_SHARE, TRUSTED_SECONDS = 0.05, 5.0
"""Of a pass, and of time: from where on its own speed counts for more than what was expected."""

Progress = Callable[[str, float, float | None], None]
"""What is being done, how much of it is done, and of how much (None: unknown)."""


def silent(_stage: str, _done: float, _total: float | None) -> None:
    """Progress that nobody watches."""


class Course:
    """Progress over several passes, with the time that is left of all.

    Args:
        tell: gets stage, done, total, seconds gone and seconds left (None: unknown) over all passes.
        clock: seconds, increasing.
    """

    def __init__(
        self,
        tell: Callable[[str, float, float | None, float, float | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._clock = tell, clock
        self._ahead: dict[str, float] = {}
        self._stage, self._expected = "", 0.0
        self._began = self._stage_began = self._last = clock()

    def expect(self, stage: str, total: float, seconds_each: float) -> None:
        """Announce a pass: how much of it there will be, and how long each is thought to take."""
        self._last = self._clock()
        if not self._ahead:
            self._began = self._last
        self._ahead[stage] = total * seconds_each

    def __call__(self, stage: str, done: float, total: float | None, /) -> None:
        """Progress, as above; a stage that begins ends the one before."""
        now = self._clock()
        if stage != self._stage:
            if not self._ahead:
                self._began = self._last = now
            self._stage, self._stage_began = stage, self._last
            self._expected = self._ahead.pop(stage, 0.0)
        self._last = now
        left = None
        if total is not None and done > 0:
            left = self._left(now - self._stage_began, done / total) + sum(self._ahead.values())
        self._tell(stage, done, total, now - self._began, left)

    def _left(self, elapsed: float, share: float) -> float:
        """Seconds left of the pass that runs."""
        own = elapsed * (1 - share) / share
        if not self._expected:
            return own
        trust = max(share / (share + TRUSTED_SHARE), elapsed / (elapsed + TRUSTED_SECONDS))
        return trust * own + (1 - trust) * self._expected * (1 - share)


def expect(progress: Progress, stage: str, total: float, seconds_each: float) -> None:
    """Announce a pass to whoever wants to know."""
    if isinstance(progress, Course):
        progress.expect(stage, total, seconds_each)
