from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import InputError, ShapeError
from vidcam.metrics import intervals as module
from vidcam.metrics.intervals import Interval, bootstrap_blocks, bootstrap_mean, bootstrap_means


def seeded() -> np.random.Generator:
    return np.random.default_rng(7)


def test_interval_of_two_values() -> None:
    assert bootstrap_mean(np.array([2.0, 2.0, 2.0]), seeded()) == Interval(2.0, 2.0, 2.0)
    both = bootstrap_mean(np.array([0.0, 1.0]), seeded())  # means 0, 1/2, 1 with shares 1/4, 1/2, 1/4
    assert both == Interval(0.5, 0.0, 1.0)
    assert bootstrap_mean(np.array([0.0, 1.0]), seeded(), level=0.4) == Interval(0.5, 0.5, 0.5)


def test_interval_of_many_values_approaches_the_normal_distribution() -> None:
    values = np.random.default_rng(8).normal(3.0, 2.0, 400)
    interval = bootstrap_mean(values, seeded())
    error = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(interval.value - error, abs=0.15 * error)
    assert interval.high == pytest.approx(interval.value + error, abs=0.15 * error)


def test_resampled_means_equal_a_plain_loop() -> None:
    """The loop counts the same draws of groups."""
    values, groups = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), ["a", "b", "b", "c", "b"]
    members = {"a": [1.0], "b": [2.0, 4.0, 16.0], "c": [8.0]}
    means = []
    for draw in seeded().multinomial(3, np.full(3, 1 / 3), size=2000):
        drawn = [value for name, times in zip("abc", draw, strict=True) for value in members[name] * int(times)]
        means.append(sum(drawn) / len(drawn))
    interval = bootstrap_mean(values, seeded(), groups=groups)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert interval.value == pytest.approx(31 / 5)


def test_groups_widen_the_interval_of_copies() -> None:
    values = np.repeat(np.random.default_rng(9).normal(size=10), 20)
    groups = [f"video {index // 20}" for index in range(200)]
    alone, together = bootstrap_mean(values, seeded()), bootstrap_mean(values, seeded(), groups=groups)
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_undefined_values_are_left_out() -> None:
    with_gaps = bootstrap_mean(np.array([1.0, np.nan, 3.0]), seeded(), groups=["a", "b", "c"])
    assert with_gaps == bootstrap_mean(np.array([1.0, 3.0]), seeded(), groups=["a", "c"])
    nothing = bootstrap_mean(np.array([np.nan]), seeded())
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    assert np.isnan(bootstrap_mean(np.array([]), seeded()).value)


def test_the_same_seed_prints_the_same_interval() -> None:
    values = np.arange(20.0)
    assert str(bootstrap_mean(values, seeded())) == str(bootstrap_mean(values, seeded()))
    assert str(Interval(0.12345, 0.1, 0.2)) == "0.123 [0.1, 0.2]"


def test_invalid_arguments() -> None:
    with pytest.raises(ShapeError, match=r"with N groups, got values.shape = \(2,\) and 1 groups"):
        bootstrap_mean(np.zeros(2), seeded(), groups=["a"])
    with pytest.raises(ShapeError, match=r"got values.shape = \(2, 2\) and no groups"):
        bootstrap_mean(np.zeros((2, 2)), seeded())
    with pytest.raises(InputError, match="expected resamples >= 1 and 0 < level < 1, got resamples = 0"):
        bootstrap_mean(np.zeros(2), seeded(), resamples=0)
    with pytest.raises(InputError, match=r"level = 1.0"):
        bootstrap_mean(np.zeros(2), seeded(), level=1.0)


def fresh() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("drawn_at_once", [50, 1_000_000])
def test_each_row_has_the_interval_that_it_has_alone(drawn_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("waiting_bytes", [0, 600, 1 << 25])
def test_blocks_share_draws_and_are_cut_where_they_are_too_large(
    waiting_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 11 groups a row takes 88 bytes, and a set of clips 240 more: a block of 9 rows is cut at 600."""
    monkeypatch.setattr(module, "_WAITING_BYTES", waiting_bytes)
    rows = np.random.default_rng(0).normal(size=(14, 30))
    rows[[2, 7], :7] = np.nan
    groups, drawn = [f"g{index % 11:02}" for index in range(30)], []

    def counted() -> np.random.Generator:
        drawn.append(1)
        return fresh()

    blocks = [iter(rows[:9]), iter(()), iter(rows[9:])]
    found = bootstrap_blocks(blocks, counted, groups=np.array(groups))
    assert [len(block) for block in found] == [9, 0, 5]
    alone = bootstrap_means(rows, fresh, groups=groups)
    numbers = [[(i.value, i.low, i.high) for i in intervals] for intervals in (found[0] + found[2], alone)]
    assert np.array(numbers[0]) == pytest.approx(np.array(numbers[1]))
    assert len(drawn) == {0: 14, 600: 5, 1 << 25: 2}[waiting_bytes]  # twice for two sets of clips, if all rows fit


def test_clips_of_one_group_are_one_sample() -> None:
    values = np.repeat([[0.0, 1.0]], 1, axis=0).repeat(20, axis=1)
    apart = bootstrap_means(values, fresh, groups=[str(index) for index in range(40)])[0]
    together = bootstrap_means(values, fresh, groups=["a"] * 20 + ["b"] * 20)[0]
    assert apart.high - apart.low < 0.4
    assert (together.low, together.high) == (0.0, 1.0)


def test_a_row_without_values_has_a_nan_interval() -> None:
    interval = bootstrap_means(np.full((1, 3), np.nan), fresh, groups=["a", "b", "c"])[0]
    assert np.isnan([interval.value, interval.low, interval.high]).all()


def test_one_group_per_clip_is_required() -> None:
    with pytest.raises(ShapeError, match=r"values must be \(M, N\) with N groups"):
        bootstrap_means(np.zeros((2, 3)), fresh, groups=["a"])
