"""Krippendorff's α against his own example, and at its two ends."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.metrics.raters import krippendorff_alpha

TABLE = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
"""Four observers and twelve units, Krippendorff 2011, section C; a point is missing."""


def test_the_example_of_krippendorff() -> None:
    answers = [(unit, int(value)) for row in TABLE for unit, value in enumerate(row) if value != "."]
    units, values = np.array(answers, np.int64).T
    assert krippendorff_alpha(units, values) == pytest.approx(0.743, abs=5e-4)


def test_full_agreement_is_one_and_chance_is_zero() -> None:
    units = np.repeat(np.arange(400), 3)
    assert krippendorff_alpha(units, units % 2) == 1.0
    assert abs(krippendorff_alpha(units, np.random.default_rng(0).integers(0, 3, 1200))) < 0.06
    assert krippendorff_alpha(units, np.zeros(1200, np.int64)) == 1.0


def test_units_with_one_answer_say_nothing() -> None:
    assert np.isnan(krippendorff_alpha(np.arange(5), np.zeros(5, np.int64)))
    assert np.isnan(krippendorff_alpha(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    with pytest.raises(ShapeError, match=r"\(N,\)"):
        krippendorff_alpha(np.zeros(2, np.int64), np.zeros(3, np.int64))
