from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidcam.metrics.drop import average_drop, drop

logs = st.floats(-2000, 0)


def test_by_hand() -> None:
    original, masked = np.log([0.8, 0.5, 0.5, 1.0]), np.log([0.2, 0.5, 0.9, 0.01])
    np.testing.assert_allclose(drop(original, masked), [0.75, 0, 0, 0.99], atol=1e-15)
    assert average_drop(drop(original, masked)) == pytest.approx(100 * (0.75 + 0.99) / 4)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(logs, logs), min_size=1, max_size=10))
def test_stays_in_range(pairs: list[tuple[float, float]]) -> None:
    original, masked = np.array(pairs).T
    drops = drop(original, masked)
    assert drops.min() >= 0
    assert drops.max() <= 1
    assert (drops[masked >= original] == 0).all()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.floats(1e-3, 1), st.floats(1e-3, 1)), min_size=1, max_size=10))
def test_equals_the_formula_as_a_plain_loop(pairs: list[tuple[float, float]]) -> None:
    shares = [max(0.0, before - after) / before for before, after in pairs]
    original, masked = np.log(np.array(pairs).T)
    np.testing.assert_allclose(drop(original, masked), shares, rtol=1e-9, atol=1e-14)
    assert average_drop(drop(original, masked)) == pytest.approx(100 * sum(shares) / len(shares), abs=1e-10)


def test_probabilities_that_underflow_still_have_a_drop() -> None:
    original = np.array([-1000.0, -1000.0, -1000.0])
    masked = np.array([-1000.0 + np.log(0.25), -2000.0, -1.0])
    np.testing.assert_allclose(drop(original, masked), [0.75, 1, 0], atol=1e-12)


def test_the_smallest_loss_is_not_rounded_away() -> None:
    assert drop(np.array([0.0]), np.array([-1e-18]))[0] == pytest.approx(1e-18)


def test_no_loss_is_plain_zero() -> None:
    drops = drop(np.log([0.5, 0.5]), np.log([0.5, 0.9]))
    assert not np.signbit(drops).any()
    assert f"{average_drop(drops):.1f}" == "0.0"
