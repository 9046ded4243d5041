from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.metrics import intervals as module
from vidcam.metrics.bootstrap import bootstrap_mean
from vidcam.metrics.intervals import bootstrap_means


def fresh() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("drawn_at_once", [50, 1_000_000])
def test_each_interval_is_the_one_that_its_row_has_alone(drawn_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DRAWN_AT_ONCE", drawn_at_once)
    values = np.random.default_rng(0).normal(size=(4, 30))
    values[1, :7] = np.nan
    values[2, [3, 9]] = np.nan
    values[3, :7] = np.nan
    groups = [f"g{index % 11:02}" for index in range(30)]
    together = bootstrap_means(values, fresh, groups=groups)
    for row, interval in zip(values, together, strict=True):
        alone = bootstrap_mean(row, fresh(), groups=groups)
        assert (interval.value, interval.low, interval.high) == pytest.approx((alone.value, alone.low, alone.high))


def test_clips_of_one_group_are_one_sample() -> None:
    values = np.repeat([[0.0, 1.0]], 1, axis=0).repeat(20, axis=1)
    apart = bootstrap_means(values, fresh, groups=[str(index) for index in range(40)])[0]
    together = bootstrap_means(values, fresh, groups=["a"] * 20 + ["b"] * 20)[0]
    assert apart.high - apart.low < 0.4
    assert (together.low, together.high) == (0.0, 1.0)


def test_what_is_nowhere_defined_has_no_interval() -> None:
    found = bootstrap_means(np.full((1, 3), np.nan), fresh, groups=["a", "b", "c"])[0]
    assert np.isnan([found.value, found.low, found.high]).all()


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"values must be \(M, N\) with N groups"):
        bootstrap_means(np.zeros((2, 3)), fresh, groups=["a"])
