"""Davidson's strengths: hand numbers, choix without ties, stationarity, and what has no maximum."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.metrics.preference import SAME, Comparisons, fit_strengths, refit_strengths

CHOIX_WINS = np.array([[0, 7, 9, 4], [3, 0, 6, 5], [1, 4, 0, 6], [2, 3, 2, 0]])
CHOIX = (0.95646479, 0.02474032, -0.32049589, -0.66070922)
"""choix 0.4.1: opt_pairwise(4, data, alpha=0, tol=1e-12), less its mean; ilsr_pairwise gives the same."""


def random_comparisons(size: int, count: int, seed: int = 0) -> Comparisons:
    random = np.random.default_rng(seed)
    pairs = np.array([random.permutation(size)[:2] for _ in range(count)])
    return Comparisons(pairs[:, 0], pairs[:, 1], random.integers(0, 3, count), size)


def test_two_things_with_ties_by_hand() -> None:
    # 8 wins, 2 losses, 4 ties: π_a / π_b = 8 / 2, ν = 4 / √(8 · 2)
    found = fit_strengths(np.array([[8.0], [2.0], [4.0]]), 2)
    assert found.log_strengths[0] - found.log_strengths[1] == pytest.approx(np.log(4.0), abs=1e-6)
    assert found.log_ties == pytest.approx(0.0, abs=1e-6)
    assert found.shares == pytest.approx([0.8, 0.2], abs=1e-6)


def test_without_ties_they_are_those_of_choix() -> None:
    rows, columns = np.triu_indices(4, 1)
    counts = np.stack([CHOIX_WINS[rows, columns], CHOIX_WINS[columns, rows], np.zeros(6)]).astype(float)
    found = fit_strengths(counts, 4)
    assert found.log_strengths == pytest.approx(CHOIX, abs=1e-6)
    assert found.log_ties == -np.inf


def test_expected_and_observed_counts_agree() -> None:
    """The likelihood is stationary: wins + half the ties of each thing, and all ties, are as the model expects."""
    compared = random_comparisons(4, 300)
    counts = compared.counts(np.ones((1, 300)))[0]
    found = fit_strengths(counts, 4)
    rows, columns = np.triu_indices(4, 1)
    pi, nu = np.exp(found.log_strengths), np.exp(found.log_ties)
    tie = nu * np.sqrt(pi[rows] * pi[columns])
    chances = np.stack([pi[rows], pi[columns], tie]) / (pi[rows] + pi[columns] + tie)
    expected = chances * counts.sum(axis=0)
    for table in (expected - counts,):
        points = np.bincount(rows, table[0] + table[2] / 2, 4) + np.bincount(columns, table[1] + table[2] / 2, 4)
        assert points == pytest.approx(np.zeros(4), abs=1e-4)
        assert table[SAME].sum() == pytest.approx(0.0, abs=1e-4)


def test_counts_do_not_depend_on_the_order_of_a_pair() -> None:
    compared = random_comparisons(3, 50)
    mirrored = np.where(compared.outcome == SAME, SAME, 1 - compared.outcome)
    turned = Comparisons(compared.second, compared.first, mirrored, 3)
    weights = np.random.default_rng(1).integers(0, 3, (4, 50)).astype(float)
    assert np.array_equal(compared.counts(weights), turned.counts(weights))
    assert compared.counts(weights).sum(axis=(1, 2)) == pytest.approx(weights.sum(axis=1))


@pytest.mark.parametrize("has_ties", [True, False])
def test_refitting_finds_the_same_maximum(has_ties: bool) -> None:
    compared = random_comparisons(3, 200)
    if not has_ties:
        compared = Comparisons(compared.first, compared.second, compared.outcome % 2, 3)
    weights = np.random.default_rng(2).multinomial(200, np.full(200, 1 / 200), 5).astype(float)
    counts = compared.counts(weights)
    near = fit_strengths(compared.counts(np.ones((1, 200)))[0], 3)
    for values, own in zip(refit_strengths(near, counts), counts, strict=True):
        exact = fit_strengths(own, 3)
        assert values == pytest.approx(np.append(exact.log_strengths, exact.log_ties), abs=1e-5)


def test_what_has_no_maximum_is_told() -> None:
    assert not fit_strengths(np.array([[5.0], [0.0], [1.0]]), 2).is_bounded
    unconnected = np.zeros((3, 3))
    unconnected[:, 0] = 1.0  # the third thing was never compared
    found = fit_strengths(unconnected, 3)
    assert np.isnan(found.log_strengths).all()
    assert not found.is_bounded


def test_outcomes_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 comparisons have 2 outcomes"):
        Comparisons(np.zeros(3, int), np.ones(3, int), np.zeros(2, int), 2)
