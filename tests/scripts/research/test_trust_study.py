"""Simulated raters: the analysis gives back what was put in, and its intervals hold it as often as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scripts.research.trust_study import ALIKE, DIFFERENT, coverage, found_values, made_key, simulate, true_values
from vidcam.pipelines.trust.analysis import analysis_of
from vidcam.pipelines.trust.design import Lengths


def test_a_large_study_gives_back_what_was_put_in() -> None:
    key = made_key(60, Lengths(40, 20), seed=0)
    collected = simulate(key, ALIKE, 100, np.random.default_rng(0))
    found = found_values(analysis_of(collected, key, passed=0.75, seed=0, resamples=2))
    truth = true_values(ALIKE)
    assert truth["log ratio a, c"] == pytest.approx(1.1, abs=1e-4)
    for name, value in truth.items():
        assert found[name].value == pytest.approx(value, abs=0.14), name


def test_careless_raters_are_left_out_and_the_others_are_not() -> None:
    key = made_key(50, Lengths(40, 20), seed=1)
    analysis = analysis_of(
        simulate(key, DIFFERENT, 40, np.random.default_rng(3), careless=20), key, passed=0.75, seed=0, resamples=2
    )
    excluded = [rater.rater for rater in analysis.raters if rater.excluded]
    assert 15 <= len(excluded) <= 20
    assert min(excluded) >= "rater020"


def test_raters_that_agree_have_a_high_alpha() -> None:
    key, random = made_key(30, Lengths(30, 0), seed=2), np.random.default_rng(4)
    sure = replace(ALIKE, log_strengths=(8.0, 0.0, -8.0), log_ties=-8.0)
    agreed = analysis_of(simulate(key, sure, 10, random), key, passed=0.75, seed=0, resamples=2)
    chance = analysis_of(
        simulate(key, replace(ALIKE, log_strengths=(0.0, 0.0, 0.0)), 10, random), key, passed=0.75, seed=0, resamples=2
    )
    assert agreed.agreement_on_pairs > 0.9
    assert agreed.same_again > 0.9
    assert abs(chance.agreement_on_pairs) < 0.15


@pytest.mark.slow
def test_the_intervals_hold_the_truth() -> None:
    """A small run of the script; docs/evidence/trust-study.md has 200 studies."""
    found = coverage(DIFFERENT, 12, raters=10, clips=30, resamples=100)
    assert np.mean([held for held, _, _ in found.values()]) > 0.88
    assert all(abs(error) < 0.3 for _, _, error in found.values())
