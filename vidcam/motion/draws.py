"""Reproducible random draws: all of them come from the uniform doubles of one PCG64 stream.

NumPy may change how its distributions use a stream. A uniform double is 53 bits of the stream and has never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError

T = TypeVar("T")


class Draws:
    """A sequence of random draws from a seed of one or several numbers."""

    def __init__(self, *seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

    def uniform(self, low: float, high: float) -> float:
        """Draw a number from [low, high)."""
        return low + (high - low) * self._generator.random()

    def integer(self, low: int, high: int) -> int:
        """Draw an integer from low to high, both included."""
        return low + int((high - low + 1) * self._generator.random())

    def choice(self, choices: Sequence[T]) -> T:
        """Draw one of several values with equal probability."""
        return choices[self.integer(0, len(choices) - 1)]

    def uniforms(self, low: float, high: float, *shape: int) -> NDArray[np.float64]:
        """Draw an array of numbers from [low, high)."""
        return low + (high - low) * self._generator.random(shape)


def draws_for(seed: int, labels: Sequence[int], *, classes: int, most: int) -> Draws:
    """Return the draws of an example that shows some classes.

    Args:
        seed: >= 0.
        labels: indices of its classes, one for each object.
        classes: number of classes.
        most: largest number of objects.

    Raises:
        InputError: a negative seed, an unknown class, or another number of objects.
    """
    if seed < 0 or not 1 <= len(labels) <= most or not all(0 <= label < classes for label in labels):
        raise InputError(
            f"expected seed >= 0 and 1 to {most} labels from 0 to {classes - 1}, got {seed = }, labels = {list(labels)}"
        )
    return Draws(seed, *labels)
