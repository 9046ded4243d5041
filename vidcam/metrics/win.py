"""Win %: how often a method loses less confidence than another (GC++ 4.1; ties are a share of their own)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.metrics.relative import without_rounding


@dataclass(frozen=True, slots=True)
class Wins:
    """Percent of the clips: a lost less, b lost less, both the same; they add up to 100."""

    a: float
    b: float
    ties: float


def win(drops_a: NDArray[np.float64], drops_b: NDArray[np.float64], ratios: NDArray[np.float64]) -> NDArray[np.int8]:
    """Who won each clip: 1 for a, -1 for b, 0 for a tie.

    Args:
        drops_a: (N,) from `drop`, clipped at 0; so two methods that both raise the confidence tie.
        drops_b: (N,), of the same clips.
        ratios: (N,), log(O_a/O_b) from `log_ratio`; what `without_rounding` takes for zero there is a tie. Drops by
            themselves do not tell: near 1 they differ by little where the probabilities that are left differ by much.

    Raises:
        ShapeError: not the same clips.
    """
    if not drops_a.shape == drops_b.shape == ratios.shape:
        raise ShapeError(
            f"two methods must be compared on the same clips, got {drops_a.shape = }, {drops_b.shape = }, "
            f"{ratios.shape = }"
        )
    won: NDArray[np.float64] = np.sign(drops_b - drops_a) * (without_rounding(ratios) != 0)
    return won.astype(np.int8)


def win_rates(won: NDArray[np.int8]) -> Wins:
    """Percent of the clips won, lost and tied, of `win`'s (N,)."""
    return Wins(*(float(100.0 * np.mean(won == outcome)) for outcome in (1, -1, 0)))
