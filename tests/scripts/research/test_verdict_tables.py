from __future__ import annotations

import numpy as np
import pytest

from scripts.research.verdict_tables import auc, fit, share, thresholds
from vidcam.results.verdict import FEATURES


def test_the_auc_by_hand() -> None:
    truth = np.array([True] * 5 + [False] * 5)
    assert auc(np.arange(10.0)[::-1].copy(), truth) == 1.0
    assert auc(np.arange(10.0), truth) == 0.0
    assert auc(np.ones(10), truth) == 0.5
    assert auc(np.array([9.0, 8, 7, 6, 0, 5, 4, 3, 2, 1]), truth) == pytest.approx(20 / 25)
    assert np.isnan(auc(np.arange(8.0), truth[:8]))  # too few of one kind


def test_values_that_were_not_measured_are_left_out_of_the_auc() -> None:
    values = np.array([9.0, 8, 7, 6, 5, np.nan, 4, 3, 2, 1, 0])
    truth = np.array([True] * 5 + [True] + [False] * 5)
    assert auc(values, truth) == 1.0


def test_the_fit_finds_the_weight_and_the_constant_beside_the_shipped_weights() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(20_000, len(FEATURES)))
    total = 1.5 * x[:, 0] + x[:, 1:] @ np.array([*FEATURES.values()][1:]) - 0.7
    truth = generator.random(20_000) < 1.0 / (1.0 + np.exp(-total))
    weight, constant = fit(x, truth, np.ones(20_000))
    assert weight == pytest.approx(1.5, abs=0.1)
    assert constant == pytest.approx(-0.7, abs=0.1)


def test_thresholds_leave_the_wanted_shares_right_and_wrong() -> None:
    scores = np.linspace(0.0, 1.0, 1001)
    high, low = thresholds(scores, scores > 0.5)
    assert high == pytest.approx(0.38, abs=0.02)  # 0.5 of the 0.62 above it are right: 80 %
    assert low == pytest.approx(high)  # 0.55 would leave 10 % right below it, but may not lie above the other


def test_a_share_names_the_group_and_the_whole() -> None:
    truth, group = np.array([True, True, False, False]), np.array([True, True, True, False])
    assert share(truth, group, np.ones(4, np.bool_)) == "0.67 of 3 (75 %)"
    assert share(truth, ~group & group, group) == "none"
