"""The comparison of pairs, by hand: what is kept at equal area decides, not the papers' measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.score_results import scores
from vidcam.metrics.paired import PairedTest
from vidcam.pipelines.score.conclusions import verdict
from vidcam.pipelines.score.pairs import _smallest_p_holm, compare_pairs, pair_names
from vidcam.pipelines.score.summary import Pair
from vidcam.pipelines.score.table import ClipInfo, ScoreTable

CLIPS = 24
_HALF = np.random.default_rng(3).normal(0, 0.3, (3, CLIPS // 2))
NOISE = np.concatenate([_HALF, -_HALF], axis=1)
"""Differences of the log at each θ, (3, N), whose mean is zero."""


def pair_of(equal_area: NDArray[np.float64], *, masked: float, groups: int = CLIPS) -> Pair:
    """Compare a map of area 0.08 with one of area 0.3, that keeps half of Y = 0.5 everywhere.

    Args:
        equal_area: (3, N), log(O_a / O_b) at each θ.
        masked: O_a / O_b of the maps as they are.
        groups: number of groups that the clips are spread over.
    """
    half = np.log(np.full(CLIPS, 0.5))
    rows = {
        "area": [np.full(CLIPS, 0.3), np.full(CLIPS, 0.08)],
        "log_probability": [half, half],
        "log_masked_probability": [2 * half, 2 * half + np.log(masked)],
        "drop": [np.full(CLIPS, 0.5), np.full(CLIPS, 1 - 0.5 * masked)],
    }
    for theta, ratios in zip(("0.25", "0.5", "0.75"), equal_area, strict=True):
        rows[f"retention_{theta}"] = [np.exp(half), np.exp(half + ratios)]
    names = [f"clip {index % groups:02}" for index in range(CLIPS)]
    table = ScoreTable(
        methods=("large", "small"),
        columns=tuple(rows),
        counts={"scored": CLIPS, "failed": 0, "left out": 0},
        clips=ClipInfo(clip=list(range(CLIPS)), path=names, group=names, class_label=names),
        failures=[],
        labelled=(0, 0, None),
        evidence={},
        _values={name: np.array(values) for name, values in rows.items()},
    )
    (pair,) = compare_pairs(table, 0)
    return pair


def test_pairs_by_hand() -> None:
    first, *others = compare_pairs(scores(), 0)
    assert (first.a, first.b) == ("gradcam+", "gradcam")
    assert (first.win_a, first.win_b, first.ties) == (50, 0, 50)
    assert first.relative_performance == pytest.approx(np.sqrt(2))
    assert first.log_std == pytest.approx(np.log(2) / np.sqrt(2))
    assert first.post_softmax is not None
    assert first.post_softmax.relative_performance == pytest.approx(1.0)
    assert (first.relative_performance_low, first.relative_performance_high) == pytest.approx((1, 2))
    assert [(pair.a, pair.b) for pair in others] == [("gradcam", "centre"), ("gradcam+", "centre")]
    assert others[0].post_softmax is None


def test_the_equal_area_by_hand() -> None:
    """gradcam+ over gradcam: 1, 11/9 and 2 on the first clip; 1, 9/7 and 1 on the second."""
    equal_area = compare_pairs(scores(), 0)[0].equal_area
    assert equal_area is not None
    first, second = (np.log(11 / 9) + np.log(2)) / 3, np.log(9 / 7) / 3
    mean = equal_area.log_ratio
    assert (mean.low, mean.value, mean.high) == pytest.approx((second, (first + second) / 2, first))
    assert {theta: mean.value for theta, mean in equal_area.by_theta.items()} == pytest.approx(
        {"0.25": 0.0, "0.5": (np.log(11 / 9) + np.log(9 / 7)) / 2, "0.75": np.log(2) / 2}
    )
    assert equal_area.groups_that_differ == 2
    assert (equal_area.p_value, equal_area.p_holm) == (0.5, 1.0)  # the smallest of two groups; of three pairs


def test_equal_at_equal_area_is_no_difference_whatever_the_papers_measures_say() -> None:
    """The small map keeps 0.19 of what the large one keeps on every clip. At equal area they differ by noise alone."""
    pair = pair_of(NOISE, masked=0.19)
    assert pair.relative_performance == pytest.approx(0.19)
    assert pair.relative_performance_high == pytest.approx(0.19)
    assert pair.win_b == 100.0
    assert pair.equal_area is not None
    assert pair.equal_area.log_ratio.value == pytest.approx(0.0, abs=1e-12)
    assert verdict(pair).startswith("No clear difference between small and large at equal area (")
    assert verdict(pair_of(0 * NOISE, masked=0.19)).startswith("small and large are practically equal (")


def test_the_method_that_keeps_more_at_equal_area_is_better() -> None:
    pair = pair_of(NOISE + np.log(2), masked=0.19)
    assert verdict(pair).startswith("small keeps more than large at equal area (2.00 [")
    assert verdict(pair_of(NOISE - np.log(2), masked=1.9)).startswith("large keeps more than small at equal area (")


def test_clips_of_one_group_count_once() -> None:
    pair = pair_of(NOISE + np.log(2), masked=0.19, groups=3)
    assert pair.equal_area is not None
    assert pair.equal_area.groups_that_differ == 3
    assert verdict(pair).startswith("Too few clips to tell small from large (smallest possible p is 0.25; it takes 6")


def test_a_probability_that_underflows_does_not_decide_the_mean() -> None:
    ratios = np.zeros((3, CLIPS))
    ratios[:, 0] = -800.0  # O_a is 0 in float64, and raised to 1e-30
    equal_area = pair_of(ratios, masked=1.0).equal_area
    assert equal_area is not None
    assert equal_area.log_ratio.value == pytest.approx((np.log(1e-30) - np.log(0.25)) / CLIPS)


def test_without_retention_no_method_is_called_better() -> None:
    table = scores()
    columns = tuple(name for name in table.columns if name != "retention_0.75")
    pair = compare_pairs(replace(table, columns=columns), 0)[0]
    assert pair.equal_area is None
    assert verdict(pair) == "gradcam+ and gradcam are not compared: that needs the measure retention."


def test_pair_names_compare_methods_with_each_other_and_with_controls() -> None:
    assert pair_names(("a", "b", "c", "random", "uniform")) == [
        *(("b", "a"), ("c", "a"), ("c", "b")),
        *((method, control) for method in "abc" for control in ("random", "uniform")),
    ]


@pytest.mark.parametrize(
    ("p_values", "test", "smallest"),
    [
        ([0.9] * 5, PairedTest(0.9, 6), 5 * 2 / 2**6),
        ([0.9, 1e-9], PairedTest(0.9, 6), 2 / 2**6),  # the other pair is first in Holm's order
        ([0.02], PairedTest(0.02, 6), 0.02),  # by the normal approximation
        ([1.0], PairedTest(1.0, 0), 1.0),
    ],
)
def test_the_smallest_possible_p_by_hand(p_values: list[float], test: PairedTest, smallest: float) -> None:
    assert _smallest_p_holm(p_values, 0, test) == pytest.approx(smallest)
