"""A caption among the targets of an explained video."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CaptionTarget:
    """A caption and its words, of which each is a target.

    Attributes:
        words: its words.
        target: position of the whole caption among the targets. Its words follow in their order.
        probabilities: of each word, given the clip and the words before it: mean over the windows.
    """

    words: tuple[str, ...]
    target: int
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.words) != len(self.probabilities):
            raise ValueError(f"{len(self.words)} words have {len(self.probabilities)} probabilities")

    @property
    def last(self) -> int:
        """Position of its last word among the targets."""
        return self.target + len(self.words)
