"""Agreement of two maps: known numbers."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.maps import Floats
from vidcam.metrics.agreement import Agreement, agreement, correlation


def parts(a: Floats, b: Floats, *, size: int = 3) -> list[tuple[Floats, Floats]]:
    return [(a[start : start + size], b[start : start + size]) for start in range(0, len(a), size)]


def test_identical_maps_agree_fully() -> None:
    a = np.random.default_rng(0).random((10, 4, 5)).astype(np.float32)
    found = agreement(lambda: parts(a, a))
    assert found.correlation == pytest.approx(1.0)
    assert found.overlap == pytest.approx(1.0)
    assert agreement(lambda: parts(a, 3 * a)).overlap == pytest.approx(1.0)


def test_disjoint_maps_have_no_overlap() -> None:
    a, b = np.zeros((4, 2, 2)), np.zeros((4, 2, 2))
    a[:2], b[2:] = 1.0, 0.5
    found = agreement(lambda: parts(a, b))
    assert found.overlap == 0.0
    assert found.correlation == pytest.approx(-1.0)


def test_the_overlap_is_the_smaller_share_of_each_place() -> None:
    """Shares ½ ½ 0 0 and ¼ ¼ ¼ ¼: ¼ + ¼ in common."""
    a, b = np.array([1.0, 1.0, 0.0, 0.0]), np.array([2.0, 2.0, 2.0, 2.0])
    assert agreement(lambda: parts(a, b)) == Agreement(None, 0.5)


def test_empty_and_constant_maps_are_undefined() -> None:
    zero, ramp = np.zeros(6), np.arange(6.0)
    assert agreement(lambda: parts(zero, ramp)) == Agreement(None, None)
    assert agreement(list) == Agreement(None, None)
    assert correlation(parts(np.full(6, 0.1), ramp)) is None


def test_the_correlation_is_pearsons_however_the_maps_are_cut() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((20, 3)), rng.random((20, 3))
    expected = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    for size in (1, 7, 20):
        assert correlation(parts(a, b, size=size)) == pytest.approx(expected)
