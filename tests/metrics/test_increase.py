from __future__ import annotations

import numpy as np
import pytest

from vidcam.metrics.increase import increase, increase_rate


def test_is_strict() -> None:
    original = np.log([0.5, 0.5, 0.5])
    risen = increase(original, np.array([original[0], np.nextafter(original[1], 0), np.nextafter(original[2], -9)]))
    assert risen.dtype == np.bool_
    assert risen.tolist() == [False, True, False]


def test_rate_is_a_share_in_percent() -> None:
    assert increase_rate(np.array([True, False, False, False])) == 25.0
    assert increase_rate(np.array([False])) == 0.0
    assert increase_rate(np.ones(7, np.bool_)) == 100.0


@pytest.mark.parametrize(("before", "after", "risen"), [(-2000.0, -1999.0, True), (-1999.0, -2000.0, False)])
def test_is_told_where_probabilities_underflow(before: float, after: float, risen: bool) -> None:
    assert np.exp(before) == np.exp(after) == 0
    assert increase(np.array([before]), np.array([after])).tolist() == [risen]
