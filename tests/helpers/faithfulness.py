"""The measures of faithfulness as plain loops, a voxel and a clip at a time: what the fast ones are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def kept_by_rank(heat: Floats, ties: Floats, hidden: int) -> list[tuple[int, ...]]:
    """The voxels that stay when the lowest `hidden` go, by heat, then by tie, then by index."""
    places = list(np.ndindex(*heat.shape))
    ranked = sorted(places, key=lambda place: (heat[place], ties[place], places.index(place)))
    return ranked[hidden:]


def masked(clip: Floats, kept: Sequence[tuple[int, ...]]) -> Floats:
    """The clip with every other voxel black."""
    shown = np.zeros_like(clip)
    for place in kept:
        shown[place] = clip[place]
    return shown


def deletion(clip: Floats, heat: Floats, ties: Floats, score: Callable[[Floats], float], steps: int) -> list[float]:
    """The score when 0, 1/steps … of the most important voxels are black, one voxel at a time."""
    places = list(np.ndindex(*heat.shape))
    ranked = sorted(places, key=lambda place: (heat[place], ties[place], places.index(place)))
    scores = []
    for step in range(steps + 1):
        shown = clip.copy()
        for place in ranked[len(ranked) - round(step / steps * len(ranked)) :]:
            shown[place] = 0.0
        scores.append(score(shown))
    return scores


def area_by_trapezes(shares: Sequence[float], values: Sequence[float]) -> float:
    total = 0.0
    for left in range(len(shares) - 1):
        total += (shares[left + 1] - shares[left]) * (values[left] + values[left + 1]) / 2
    return total / (shares[-1] - shares[0])


def geometric_mean_of_ratios(a: Sequence[float], b: Sequence[float]) -> float:
    """EQ 16 as it is written: the N-th root of a product."""
    product = 1.0
    for first, second in zip(a, b, strict=True):
        product *= first / second
    return float(product ** (1 / len(a)))


def signed_rank_by_enumeration(differences: Sequence[float]) -> float:
    """Two-sided p of the Wilcoxon signed-rank test, all 2^n signs gone through; no zeros, no ties."""
    ranks = {value: rank for rank, value in enumerate(sorted(abs(d) for d in differences), start=1)}
    observed = sum(ranks[abs(d)] for d in differences if d > 0)
    middle = sum(ranks.values()) / 2
    count = len(differences)
    sums = [sum(rank for bit, rank in enumerate(ranks.values()) if signs >> bit & 1) for signs in range(2**count)]
    return float(sum(abs(total - middle) >= abs(observed - middle) for total in sums) / 2**count)


def ssim_by_windows(one: Floats, other: Floats, window: int) -> float:
    """Mean SSIM over every window inside, from plain means and variances."""
    c1, c2 = 0.01**2, 0.03**2
    sizes = [min(window, length) for length in one.shape]
    found = []
    for corner in np.ndindex(*(length - size + 1 for length, size in zip(one.shape, sizes, strict=True))):
        box = tuple(slice(begin, begin + size) for begin, size in zip(corner, sizes, strict=True))
        x, y = one[box].ravel().tolist(), other[box].ravel().tolist()
        mx, my = math.fsum(x) / len(x), math.fsum(y) / len(y)
        vx, vy = (math.fsum((v - m) ** 2 for v in values) / len(values) for values, m in ((x, mx), (y, my)))
        both = math.fsum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / len(x)
        found.append((2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return math.fsum(found) / len(found)
