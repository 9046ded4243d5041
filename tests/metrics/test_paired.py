from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from tests.helpers.faithfulness import signed_rank_by_enumeration
from vidcam.metrics.paired import group_means, holm, signed_rank


def names(count: int) -> list[str]:
    return [f"clip {index:03}" for index in range(count)]


def test_five_differences_of_one_sign() -> None:
    """Of the 32 ways to sign five differences, only two are as extreme."""
    result = signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), names(5))
    assert result.p_value == pytest.approx(2 / 32)
    assert result.groups == 5


@pytest.mark.parametrize("seed", range(4))
def test_p_value_equals_the_enumeration_of_all_signs(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.4, 1, 9)
    expected = signed_rank_by_enumeration(differences.tolist())
    assert signed_rank(differences, names(9)).p_value == pytest.approx(expected)


def test_each_group_counts_once() -> None:
    differences = np.array([1.0, 3.0, -0.5, 0.2])
    assert group_means(differences, ["b", "b", "a", "c"]).tolist() == [-0.5, 2.0, 0.2]
    grouped = signed_rank(differences, ["b", "b", "a", "c"])
    assert grouped == signed_rank(np.array([-0.5, 2.0, 0.2]), names(3))
    assert grouped.groups == 3


def test_no_difference_has_p_1_and_no_clip_nan() -> None:
    assert signed_rank(np.zeros(4), names(4)).p_value == 1.0
    assert signed_rank(np.array([1e-6, -2e-6, 5e-6]), names(3)).groups == 0  # rounding
    assert np.isnan(signed_rank(np.zeros(0), []).p_value)


def test_holm_of_four_p_values() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    corrected = holm([0.01, float("nan"), 0.02])
    assert np.isnan(corrected[1])
    assert [corrected[0], corrected[2]] == pytest.approx([0.02, 0.02])


@pytest.mark.parametrize("seed", range(3))
def test_holm_equals_statsmodels(seed: int) -> None:
    p_values = np.random.default_rng(seed).random(12).round(2) ** 3  # some are equal
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-15)
