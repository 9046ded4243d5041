"""Occlusion of linear scores, whose contributions are known; grids, overlap, axis orders, pathways."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.helpers.nets import random_clip
from vidcam.axes import Axes
from vidcam.cam.input_score import ScoreOf
from vidcam.cam.masks import grid_for
from vidcam.cam.network import Input
from vidcam.cam.occlusion import occlusion
from vidcam.errors import NonFiniteError, ShapeError

SIZE = (5, 6, 8)


def linear(weights: Tensor) -> ScoreOf:
    """Score = 7 + the sum of weights × pixels."""

    def score(clip: Any) -> Tensor:
        total: Tensor = 7 + (clip * weights).flatten(1).sum(dim=1)
        return total

    return score


def contributions(clip: Tensor, fill: Tensor, weights: Tensor, grid: Sequence[int]) -> NDArray[np.float64]:
    """Sum weights × (clip - fill) over the channels and pixels of each cell, (N, t, h, w)."""
    shares = (weights * (clip - fill)).sum(dim=1).numpy()
    for axis, cells in enumerate(grid, 1):
        edges = [cell * shares.shape[axis] // cells for cell in range(cells + 1)]
        slabs = [shares.take(range(a, b), axis).sum(axis=axis) for a, b in pairwise(edges)]
        shares = np.stack(slabs, axis=axis)
    return np.asarray(shares, np.float64)


def example(*size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Clip, fill and weights."""
    clips, one = (2, 3, *size), (1, 3, *size)
    return tuple(random_clip(*shape, seed=n, dtype=torch.float64) for n, shape in enumerate((clips, one, one)))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("size", "grid"), [(SIZE, (2, 3, 2)), (SIZE, (5, 1, 8)), (SIZE, (2, 4, 3)), ((6, 7), (3, 2)), ((9,), (4,))]
)
def test_equals_the_contributions_of_a_linear_score(size: tuple[int, ...], grid: tuple[int, ...]) -> None:
    clip, fill, weights = example(*size)
    found = occlusion(linear(weights), clip, fill, cells=grid)
    np.testing.assert_allclose(found.values, contributions(clip, fill, weights, grid), rtol=0, atol=1e-12)
    assert found.error is None


def test_a_cell_has_the_mean_of_the_boxes_that_cover_it() -> None:
    """Cells of 1, 2, 4, 8 and boxes of two: 3, 6, 12."""
    clip = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64).view(1, 1, 4)
    found = occlusion(linear(torch.ones_like(clip)), clip, torch.zeros_like(clip), cells=(4,), box=(2,))
    np.testing.assert_allclose(found.values, [[3, 4.5, 9, 12]], rtol=1e-12)


def test_overlap_in_space_and_time_equals_a_sum_over_boxes() -> None:
    clip, fill, weights = example(*SIZE)
    grid, box = (5, 3, 4), (2, 1, 3)
    own = contributions(clip, fill, weights, grid)
    total, count = np.zeros_like(own), np.zeros(grid)
    for corner in np.ndindex(4, 3, 2):
        inside = tuple(slice(a, a + b) for a, b in zip(corner, box, strict=True))
        total[(slice(None), *inside)] += own[(slice(None), *inside)].sum(axis=(1, 2, 3), keepdims=True)
        count[inside] += 1
    found = occlusion(linear(weights), clip, fill, cells=grid, box=box)
    np.testing.assert_allclose(found.values, total / count, rtol=0, atol=1e-12)


@pytest.mark.parametrize("text", ["NCTHW", "NTCHW", "NTHWC", "CNHWT", "N(TC)HW", "N(CT)HW", "(NT)CHW"])
def test_any_order_of_the_axes(text: str) -> None:
    clip, fill, weights = example(*SIZE)
    axes = Axes(text).known_with(SIZE[0])

    def score(given: Any) -> Tensor:
        assert given.shape == axes.restore(clip).shape
        return linear(weights)(axes.view(given))

    found = occlusion(score, axes.restore(clip), axes.restore(fill), cells=(2, 3, 2), axes=axes)
    np.testing.assert_allclose(found.values, contributions(clip, fill, weights, (2, 3, 2)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [list, tuple])
def test_boxes_lie_at_the_same_place_in_both_pathways(kind: type[list[Tensor]] | type[tuple[Tensor, ...]]) -> None:
    fast, slow = example(8, 6, 4), example(2, 3, 4)

    def score(clip: Input) -> Tensor:
        assert isinstance(clip, list | tuple)
        assert type(clip) is kind
        return linear(slow[2])(clip[0]) + linear(fast[2])(clip[1])

    found = occlusion(score, kind([slow[0], fast[0]]), kind([slow[1], fast[1]]), cells=(4, 3, 2))
    both = contributions(*fast, (4, 3, 2)) + contributions(*slow, (4, 3, 2))
    np.testing.assert_allclose(found.values, both, rtol=0, atol=1e-12)
    assert np.abs(contributions(*slow, (4, 3, 2))[:, ::2]).max() == 0  # a slow frame lies in one of two boxes only


def test_forwards_are_counted_and_reported() -> None:
    clip, fill, weights = example(*SIZE)
    rows: list[int] = []
    told: list[tuple[str, float, float | None]] = []

    def score(given: Input) -> Tensor:
        assert isinstance(given, Tensor)
        rows.append(len(given))
        return linear(weights)(given)

    occlusion(score, clip, fill, cells=(2, 3, 3), progress=lambda stage, done, total: told.append((stage, done, total)))
    assert rows == [2] * 19
    assert told == [("occlusion", done, 19) for done in range(1, 20)]


def test_no_graph_is_kept_and_clips_of_integers_work() -> None:
    clip = torch.arange(8).view(1, 1, 8)
    scale = torch.ones((), requires_grad=True)

    def score(given: Any) -> Tensor:
        total: Tensor = (given * scale).flatten(1).sum(dim=1)
        assert not total.requires_grad
        return total

    found = occlusion(score, clip, torch.zeros_like(clip), cells=(4,))
    np.testing.assert_array_equal(found.values, [[1, 5, 9, 13]])


@pytest.mark.parametrize(
    ("size", "most", "grid"),
    [
        ((16, 224, 224), 18, (2, 3, 3)),
        ((16, 224, 224), 50, (3, 4, 4)),
        ((16, 224, 224), 199, (4, 7, 7)),
        ((16, 64, 128), 199, (4, 5, 9)),
        ((2, 224, 224), 199, (2, 10, 9)),
        ((1, 16, 16), 199, (1, 14, 14)),
        ((16, 2, 2), 199, (16, 2, 2)),
        ((16, 224, 224), 1, (1, 1, 1)),
        ((224, 224), 49, (7, 7)),
        ((100,), 30, (30,)),
        ((100,), 300, (100,)),
    ],
)
def test_the_grid_of_a_budget(size: tuple[int, ...], most: int, grid: tuple[int, ...]) -> None:
    assert grid_for(size, most) == grid


@pytest.mark.parametrize("size", [(16, 224, 224), (1, 16, 16), (3, 4, 400), (64, 5, 1), (7, 100)])
def test_a_grid_keeps_to_its_budget_and_uses_it(size: tuple[int, ...]) -> None:
    for most in range(1, 300):
        grid = grid_for(size, most)
        assert min(most, prod(size)) / 2 < prod(grid) <= most
        assert all(1 <= cells <= length for cells, length in zip(grid, size, strict=True))


@pytest.mark.parametrize(
    ("cells", "box", "message"),
    [
        ((2, 3), None, r"cells is \(2, 3\), expected from 1 to \(5, 6, 8\)"),
        ((6, 1, 1), None, r"cells is \(6, 1, 1\)"),
        ((0, 1, 1), None, r"cells is \(0, 1, 1\)"),
        ((2, 2, 2), (3, 1, 1), r"box is \(3, 1, 1\), expected from 1 to \(2, 2, 2\) cells"),
        ((2, 2, 2), (1, 1), r"box is \(1, 1\)"),
    ],
)
def test_grids_that_do_not_fit(cells: tuple[int, ...], box: tuple[int, ...] | None, message: str) -> None:
    clip, fill, weights = example(*SIZE)
    with pytest.raises(ShapeError, match=message):
        occlusion(linear(weights), clip, fill, cells=cells, box=box)


def test_a_fill_of_other_sizes_and_scores_that_are_not_numbers() -> None:
    clip, fill, weights = example(*SIZE)
    with pytest.raises(ShapeError, match="pass a fill of its sizes"):
        occlusion(linear(weights), clip, fill[..., :1], cells=(1, 1, 1))
    with pytest.raises(NonFiniteError, match="the scores of a masked clip"):
        occlusion(linear(weights * torch.inf), clip, fill, cells=(1, 1, 1))
