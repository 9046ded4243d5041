"""Count attempts across workers that may die. Nothing here imports torch: the process that counts stays small."""

from __future__ import annotations

from collections import Counter


class Attempts:
    """Counts the work that was begun and not finished, by name. It outlives the workers, as an actor of its own."""

    def __init__(self) -> None:
        self._begun = Counter[str]()

    def begin(self, name: str) -> int:
        """Count an attempt, and return how many of its kind did not finish before."""
        self._begun[name] += 1
        return self._begun[name] - 1

    def finish(self, name: str) -> None:
        """Forget work that was finished."""
        del self._begun[name]
