"""Random draws that stay the same: everything comes from the uniform doubles of one PCG64 stream.

NumPy may change how its distributions use a stream; a double is 53 bits of it, and has been so from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Draws:
    """Draws in order, from a seed of one number or several."""

    def __init__(self, *seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

    def uniform(self, low: float, high: float) -> float:
        """A number from [low, high)."""
        return low + (high - low) * self._generator.random()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * self._generator.random())

    def one_of(self, choices: Sequence[T]) -> T:
        """One of several, all alike likely."""
        return choices[self.whole(0, len(choices) - 1)]

    def uniforms(self, low: float, high: float, *shape: int) -> NDArray[np.float64]:
        """An array of numbers from [low, high)."""
        return low + (high - low) * self._generator.random(shape)
