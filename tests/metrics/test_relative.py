from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.faithfulness import geometric_mean_of_ratios
from vidcam.metrics.relative import log_ratio, relative_performance


def test_by_hand() -> None:
    """Twice as good on one clip, half as good on the other: the same."""
    result = relative_performance(log_ratio(np.log([0.8, 0.1]), np.log([0.4, 0.2])))
    assert result.value == pytest.approx(1.0)
    assert result.log_mean == pytest.approx(0.0, abs=1e-15)
    assert result.log_std == pytest.approx(np.log(2) * np.sqrt(2))


def test_equals_the_root_of_the_product() -> None:
    a, b = np.random.default_rng(2).uniform(0.01, 1, (2, 12))
    assert relative_performance(log_ratio(np.log(a), np.log(b))).value == pytest.approx(
        geometric_mean_of_ratios(a.tolist(), b.tolist())
    )


def test_turning_the_pair_round_inverts_it() -> None:
    a, b = np.log(np.random.default_rng(2).uniform(0.01, 1, (2, 12)))
    there, back = relative_performance(log_ratio(a, b)), relative_performance(log_ratio(b, a))
    assert there.value * back.value == pytest.approx(1)
    assert there.log_std == pytest.approx(back.log_std)


def test_one_clip_has_no_deviation() -> None:
    assert np.isnan(relative_performance(np.array([0.3])).log_std)


def test_a_probability_that_vanishes_does_not_decide_the_mean() -> None:
    """Of a sigmoid with a logit of -1000; the floor is 1e-30."""
    ratios = log_ratio(np.array([-1000.0, -1000.0, np.log(0.5)]), np.array([np.log(0.5), -2000.0, np.log(0.5)]))
    assert ratios == pytest.approx([np.log(1e-30 / 0.5), 0.0, 0.0])
    assert np.isfinite(relative_performance(ratios).value)
    assert np.isnan(log_ratio(np.array([np.nan]), np.array([0.0]))).all()
