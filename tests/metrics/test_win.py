from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.metrics.win import win, win_rates


def test_by_hand() -> None:
    won = win(np.array([0.1, 0.5, 0.0, 0.2]), np.array([0.2, 0.1, 0.0, 0.9]), np.ones(4))
    assert won.tolist() == [1, -1, 0, 1]
    wins = win_rates(won)
    assert (wins.a, wins.b, wins.ties) == (50.0, 25.0, 25.0)


def test_equals_a_plain_loop_and_is_antisymmetric() -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.random(200).round(1) for _ in range(2))
    ratios = np.log((2 - a) / (2 - b))
    wins, turned = win_rates(win(a, b, ratios)), win_rates(win(b, a, -ratios))
    assert wins.a == pytest.approx(100 * sum(x < y for x, y in zip(a, b, strict=True)) / 200)
    assert (turned.a, turned.b, turned.ties) == (wins.b, wins.a, wins.ties)
    assert wins.a + wins.b + wins.ties == pytest.approx(100)


def test_what_rounding_may_have_decided_is_a_tie_and_saturated_drops_are_not() -> None:
    left_a, left_b = np.array([0.5, 3e-6, 0.5]), np.array([0.5 * (1 + 2e-6), 1e-6, 0.5 * (1 + 2e-5)])
    won = win(1 - left_a, 1 - left_b, np.log(left_a / left_b))
    assert won.tolist() == [0, 1, -1]


@pytest.mark.parametrize("sizes", [(3, 4, 3), (3, 3, 4)])
def test_other_clips_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ShapeError, match="compared on the same clips"):
        win(*(np.zeros(size) for size in sizes))
