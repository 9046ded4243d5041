from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers.faithfulness import deletion
from vidcam.metrics.insertion_deletion import (
    SHARES,
    curve_area,
    delete,
    frame_shares,
    insert,
)
from vidcam.metrics.order import frame_order, ranks_of, voxel_order
from vidcam.metrics.retention import keep_top

SIZE = (2, 1, 2)


def total(clip: NDArray[np.float64]) -> float:
    return float(clip.sum())


def test_curve_of_three_voxels() -> None:
    """The score is the sum of the clip. Deleting the brightest voxels first leaves 10 - 6, 10 - 6 - 3, then 0."""
    clip = np.array([0.6, 0.3, 0.1, 0.0]).reshape(SIZE)
    ranks = ranks_of(voxel_order(clip, np.zeros(SIZE)), SIZE)
    assert [total(clip * delete(ranks, share).numpy()) for share in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(
        [1, 0.4, 0.1, 0, 0]
    )
    assert [total(clip * insert(ranks, share).numpy()) for share in (0, 0.25, 0.5, 1)] == pytest.approx(
        [0, 0.6, 0.9, 1]
    )


def test_deletion_equals_a_plain_loop() -> None:
    generator = np.random.default_rng(3)
    clip, heat, ties = (generator.random((3, 4, 5)) for _ in range(3))
    heat = heat.round(1)
    ranks = ranks_of(voxel_order(heat, ties), heat.shape)
    quick = [total(clip * delete(ranks, share).numpy()) for share in SHARES]
    assert quick == pytest.approx(deletion(clip, heat, ties, total, 10))


def test_insertion_equals_retention_and_deletion_is_its_complement() -> None:
    ranks = ranks_of(voxel_order(np.random.default_rng(0).random((4, 5, 6)), np.zeros((4, 5, 6))), (4, 5, 6))
    for share in SHARES:
        inserted = insert(ranks, share)
        assert int(inserted.sum()) == round(share * 120)
        assert torch.equal(inserted, keep_top(ranks, 1 - share))
        assert torch.equal(delete(ranks, share), ~inserted)


def test_whole_frames_of_a_small_clip() -> None:
    heat = np.array([0.1, 0.9, 0.5])[:, None, None] * np.ones((3, 2, 2))
    ranks = ranks_of(frame_order(heat, np.zeros_like(heat)), (3, 1, 1))
    assert insert(ranks, 1 / 3).flatten().tolist() == [False, True, False]
    assert insert(ranks, 2 / 3).flatten().tolist() == [False, True, True]
    assert delete(ranks, 1 / 3).flatten().tolist() == [True, False, True]


@pytest.mark.parametrize("frames", [1, 2, 4, 16, 64])
def test_frame_shares_run_from_no_frame_to_all(frames: int) -> None:
    shares = frame_shares(frames)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert list(shares) == sorted(set(shares))
    assert all((share * frames).is_integer() for share in shares)
    assert len(shares) == min(11, frames + 1)


def test_curve_area_integrates_the_probability_not_its_logarithm() -> None:
    assert curve_area((0.0, 0.5, 1.0), np.log([1.0, 0.5, 0.25])) == pytest.approx(0.5 * 0.75 + 0.5 * 0.375)
