"""RISE: masks by hand, and the map of a linear score against its expectation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.cam.test_occlusion import example, linear
from vidcam.axes import Axes
from vidcam.cam.rise import RandomMask, random_masks, rise
from vidcam.errors import InputError, ShapeError

P = 0.4
SIZE, CELLS = (3, 4, 6), (2, 2, 3)


def smoothing(length: int, cells: int) -> NDArray[np.float64]:
    """E[M_i·M_j] along one axis for cells that are 1 alone, (L, L): the mean over the shifts."""
    places, shifts = (np.arange(length) + 0.5) * cells / length, (np.arange(2000) + 0.5) / 2000
    centres = np.arange(cells + 1) + 0.5
    total = np.zeros((length, length))
    for shift in shifts:
        weights = np.stack([np.interp(places + shift, centres, row) for row in np.eye(cells + 1)])
        total += weights.T @ weights
    return np.asarray(total / shifts.size)


def expected(clip: Tensor, fill: Tensor, weights: Tensor) -> NDArray[np.float64]:
    """The centred map of a linear score, (1 - p)·K·w: what each pixel adds, smoothed by the masks."""
    shares = (weights * (clip - fill)).sum(dim=1).numpy()
    kernels = [smoothing(length, cells) for length, cells in zip(SIZE, CELLS, strict=True)]
    return np.asarray((1 - P) * np.einsum("at,bh,cw,nthw->nabc", *kernels, shares))


def test_converges_to_what_the_pixels_add() -> None:
    clip, fill, weights = example(*SIZE)
    found = rise(linear(weights), clip, fill, masks=800, cells=CELLS, visible=P)
    wanted = expected(clip, fill, weights)
    assert found.error is not None
    assert found.values.shape == wanted.shape == (2, *SIZE)
    sure = np.abs(found.values - wanted) / found.error
    assert sure.max() < 4.5
    assert 0.5 < np.sqrt((sure**2).mean()) < 1.5
    assert found.error.max() < 0.25 * np.abs(wanted).max()


def test_a_mask_by_hand() -> None:
    """One cell over four pixels, visible and then not, moved by a quarter: places 3/8, 5/8, 7/8 and 9/8."""
    mask = RandomMask(np.array([True, False]), np.array([0.25]))
    np.testing.assert_allclose(mask.at((4,)), [1, 0.875, 0.625, 0.375])
    np.testing.assert_allclose(mask.at((1,)), [0.75])  # place 3/4: the same mask at another size


def test_masks_are_seeded_and_visible_everywhere_alike() -> None:
    masks = [mask.at((4, 6, 6)) for mask in random_masks((2, 3, 3), 600, P, seed=3)]
    again = [mask.at((4, 6, 6)) for mask in random_masks((2, 3, 3), 3, P, seed=3)]
    np.testing.assert_array_equal(masks[:3], again)
    assert not np.array_equal(masks[0], next(random_masks((2, 3, 3), 1, P, seed=4)).at((4, 6, 6)))
    np.testing.assert_allclose(np.mean(masks, axis=0), P, atol=0.08)
    assert min(mask.min() for mask in masks) == 0
    assert max(mask.max() for mask in masks) == 1


def test_a_batch_equals_single_clips() -> None:
    clip, fill, weights = example(*SIZE)
    both = rise(linear(weights), clip, fill, masks=5, seed=1)
    for n in range(2):
        alone = rise(linear(weights), clip[n : n + 1], fill, masks=5, seed=1)
        np.testing.assert_allclose(alone.values[0], both.values[n], rtol=0, atol=1e-12)


@pytest.mark.parametrize("text", ["NTCHW", "NTHWC", "N(TC)HW", "(NT)CHW"])
def test_any_order_of_the_axes(text: str) -> None:
    clip, fill, weights = example(*SIZE)
    axes = Axes(text).known_with(SIZE[0])
    found = rise(
        lambda given: linear(weights)(axes.view(given)),
        axes.restore(clip),
        axes.restore(fill),
        masks=5,
        axes=axes,
    )
    np.testing.assert_allclose(found.values, rise(linear(weights), clip, fill, masks=5).values, rtol=0, atol=1e-12)


def test_both_pathways_are_masked_alike() -> None:
    """The slow pathway has every second frame: each of its frames lies between two frames of the fast one."""
    fast, slow = torch.ones(1, 1, 8, 4, 4, dtype=torch.float64), torch.ones(1, 1, 4, 4, 4, dtype=torch.float64)
    seen: list[tuple[Tensor, Tensor]] = []

    def score(clip: Any) -> Tensor:
        seen.append((clip[0], clip[1]))
        return clip[1].flatten(1).sum(dim=1)  # type: ignore[no-any-return]

    rise(score, [slow, fast], [slow * 0, fast * 0], masks=6, cells=(1, 2, 2))
    for few, many in seen:  # cells as long as the clip: time is linear between the two cells, with one bend
        between = (many[:, :, ::2] + many[:, :, 1::2]) / 2
        assert float((few - between).abs().max()) < 0.07
    assert len(seen) == 6


def test_the_grid_of_the_map_and_the_count() -> None:
    clip, fill = torch.ones(1, 1, 6, 40, 10), torch.zeros(1, 1, 6, 40, 10)
    told: list[float] = []
    found = rise(
        linear(torch.ones(())),
        clip,
        fill,
        masks=3,
        progress=lambda _stage, done, _total: told.append(done),
    )
    assert found.values.shape == (1, 6, 28, 10)
    assert told == [1, 2, 3]


def test_what_is_refused() -> None:
    clip, fill, weights = example(*SIZE)
    with pytest.raises(InputError, match="rise needs 2 masks or more"):
        rise(linear(weights), clip, fill, masks=1)
    with pytest.raises(InputError, match=r"visible share in \(0, 1\), got 9 and 1"):
        rise(linear(weights), clip, fill, masks=9, visible=1.0)
    with pytest.raises(ShapeError, match=r"cells is \(9, 1, 1\)"):
        rise(linear(weights), clip, fill, masks=9, cells=(9, 1, 1))
    with pytest.raises(InputError, match=r"clip is torch\.uint8, but rise fades pixels"):
        rise(linear(weights), (clip * 0).byte(), fill, masks=9)
