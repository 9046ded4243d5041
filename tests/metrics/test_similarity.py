from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from tests.helpers.faithfulness import ssim_by_windows
from vidcam.errors import ShapeError
from vidcam.metrics.similarity import rank_correlation, ssim


def test_rank_correlation_of_four_values() -> None:
    first = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(first, first**3) == pytest.approx(1)
    assert rank_correlation(first, -first) == pytest.approx(-1)
    assert rank_correlation(first, np.array([2.0, 1.0, 4.0, 3.0])) == pytest.approx(0.6)
    assert np.isnan(rank_correlation(first, np.ones(4)))


def test_equal_maps_have_similarity_1() -> None:
    heat = np.random.default_rng(0).random((8, 9, 10))
    assert ssim(heat, heat) == pytest.approx(1)
    assert ssim(np.ones((2, 8, 8)), np.ones((2, 8, 8))) == 1.0


@pytest.mark.parametrize("size", [(8, 9, 10), (2, 12, 7), (1, 9, 9), (16, 3, 8)])
def test_ssim_equals_a_loop_over_windows(size: tuple[int, int, int]) -> None:
    first, second = np.random.default_rng(1).random((2, *size))
    assert ssim(first, second) == pytest.approx(ssim_by_windows(first, second, 7), abs=1e-10)


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match="must have the same shape"):
        ssim(np.zeros((2, 8, 8)), np.zeros((2, 8, 9)))
    with pytest.raises(ShapeError, match="must have the same shape"):
        rank_correlation(np.zeros((2, 8, 8)), np.zeros((2, 8, 9)))


@pytest.mark.parametrize("size", [(8, 9, 10), (16, 28, 7)])
def test_ssim_equals_scikit_image(size: tuple[int, int, int]) -> None:
    """Without Gaussian window and sample covariance; the data range is 1."""
    first, second = np.random.default_rng(2).random((2, *size))
    theirs = structural_similarity(  # type: ignore[no-untyped-call]
        first, second, win_size=7, data_range=1.0, gaussian_weights=False, use_sample_covariance=False, K1=0.01, K2=0.03
    )
    assert ssim(first, second) == pytest.approx(theirs, abs=1e-12)
