"""The moments of a sheet: peaks of the evidence, then the middles of the widest gaps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vidcam.pipelines.render.moments import choose_moments

SECONDS = np.arange(101) / 10  # 0 to 10 s


def hills(*peaks: tuple[float, float]) -> NDArray[np.float64]:
    """Return evidence with hills of width 0.5 s at (second, height)."""
    return np.asarray(sum(height * np.exp(-(((SECONDS - second) / 0.5) ** 2)) for second, height in peaks))


def chosen(evidence: NDArray[np.float64], count: int = 5) -> list[float]:
    return [float(SECONDS[index]) for index in choose_moments(evidence, SECONDS, count=count)]


def test_three_peaks_and_the_middles_of_the_widest_gaps() -> None:
    """After 1, 3 and 4.5 s the widest gaps are 4.5 to 10 s, then 4.5 to 7.2 s, which ties with 7.2 to 10 s."""
    assert chosen(hills((1.0, 0.8), (3.0, 1.0), (4.5, 0.9))) == [1.0, 3.0, 4.5, 7.2, 8.6]


def test_the_lowest_of_four_peaks_is_left_out() -> None:
    peaks = hills((1.0, 0.8), (3.0, 1.0), (5.0, 0.9), (9.0, 0.2))
    assert chosen(peaks, 3) == [1.0, 3.0, 5.0]
    assert chosen(peaks, 1) == [3.0]


def test_peaks_are_apart() -> None:
    near = hills((3.0, 1.0), (3.9, 0.99))  # a dip between them, but less than a tenth of the span
    assert 3.9 not in chosen(near)
    assert 3.0 in chosen(near)


def test_a_plateau_is_one_peak() -> None:
    """Its first moment is taken. The other moments come from the gaps: 6, then 2 or 8, and so on."""
    plateau = np.where((SECONDS >= 2.0) & (SECONDS <= 8.0), 1.0, 0.5)
    assert chosen(plateau, 2) == [2.0, 6.0]


def test_a_shoulder_is_no_peak() -> None:
    falling = 1.0 - SECONDS / 20
    assert chosen(falling, 2) == [0.0, 5.0]


@pytest.mark.parametrize(("size", "expected"), [(1, [0]), (3, [0, 1, 2]), (5, [0, 1, 2, 3, 4])])
def test_few_moments_are_all_taken(size: int, expected: list[int]) -> None:
    assert choose_moments(np.zeros(size), SECONDS[:size], count=5) == expected


def test_without_evidence_the_parts_are_equal() -> None:
    assert choose_moments(np.zeros(100), SECONDS[:100], count=5) == [10, 30, 50, 70, 90]


@pytest.mark.parametrize("seed", range(5))
def test_the_moments_are_distinct_and_increase(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for size in (6, 7, 50):
        seconds = rng.random(size).cumsum()
        moments = choose_moments(rng.random(size), seconds, count=5)
        assert len(moments) == len(set(moments)) == 5
        assert moments == sorted(moments)
