"""Checks of a map from logarithms of probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vidcam.pipelines.verdict.checks import kept_checks


def test_shares_are_geometric_means_of_probability_and_odds() -> None:
    original = np.log([0.5, 0.8])
    checks = kept_checks("cam", {("cam", "half"): np.log([0.25, 0.1]), ("cam", "place"): np.log([0.2, 0.5])}, original)
    assert checks["kept"] == pytest.approx(math.sqrt(0.5 * 0.125))
    assert checks["peak"] == pytest.approx(math.sqrt(0.25 * 0.25))
    assert checks["kept_random"] is None


def test_a_share_of_a_vanishing_probability_is_finite() -> None:
    kept = kept_checks("cam", {("cam", "half"): np.array([-1.0])}, np.array([-5000.0]))["kept"]
    assert kept is not None
    assert math.isfinite(kept)
