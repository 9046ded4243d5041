from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from vidcam.errors import ShapeError
from vidcam.maps import (
    interpolation_matrix,
    normalise,
    normalise_per_clip,
    pool_volume,
    relative_to_maximum,
    resample_plane,
    resize_matrix,
    time_weights,
    upsample_volume,
)

few = settings(deadline=None, derandomize=True, max_examples=40)
RNG_SEED = 20240229


def random(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(RNG_SEED).random(shape)


def test_interpolation_weights_of_three_cells() -> None:
    positions = np.array([-3.0, 0.0, 0.5, 0.75, 1.0, 1.5, 2.25, 2.5, 3.0, 9.0])
    expected = [
        [1, 0, 0],
        [1, 0, 0],
        [1, 0, 0],
        [0.75, 0.25, 0],
        [0.5, 0.5, 0],
        [0, 1, 0],
        [0, 0.25, 0.75],
        [0, 0, 1],
        [0, 0, 1],
        [0, 0, 1],
    ]
    np.testing.assert_array_equal(interpolation_matrix(positions, 3), expected)


def test_one_cell_has_all_the_weight() -> None:
    np.testing.assert_array_equal(interpolation_matrix(np.array([-1.0, 0.0, 0.5, 0.9, 4.0]), 1), np.ones((5, 1)))


def test_resize_of_two_cells_to_four() -> None:
    np.testing.assert_array_equal(resize_matrix(4, 2), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])


@few
@given(st.lists(st.floats(-5, 25), min_size=1, max_size=8), st.integers(1, 20))
def test_interpolation_rows_sum_to_1(positions: list[float], cells: int) -> None:
    matrix = interpolation_matrix(np.array(positions), cells)
    assert matrix.shape == (len(positions), cells)
    assert matrix.min() >= 0
    assert (np.count_nonzero(matrix, axis=1) <= 2).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-15)


@few
@given(st.lists(st.floats(0.5, 6.5), min_size=1, max_size=8))
def test_interpolation_reproduces_a_straight_line(positions: list[float]) -> None:
    line = 3 * (np.arange(7) + 0.5) - 2  # the value at each cell's centre
    np.testing.assert_allclose(interpolation_matrix(np.array(positions), 7) @ line, 3 * np.array(positions) - 2)


@pytest.mark.parametrize(
    ("grid", "size"),
    [
        ((2, 7, 7), (16, 112, 112)),
        ((2, 7, 7), (16, 30, 41)),
        ((1, 1, 1), (16, 9, 9)),
        ((1, 4, 3), (1, 9, 13)),
        ((4, 3, 5), (1, 11, 8)),
        ((16, 14, 14), (16, 14, 14)),
        ((16, 28, 28), (5, 9, 7)),
        ((3, 10, 6), (10, 10, 13)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_upsampling_equals_trilinear_interpolation_of_torch(
    grid: tuple[int, int, int], size: tuple[int, int, int], dtype: type
) -> None:
    volume: NDArray[Any] = random(2, *grid).astype(dtype)
    upsampled = upsample_volume(volume, size)
    theirs = functional.interpolate(torch.from_numpy(volume)[:, None], size, mode="trilinear", align_corners=False)
    assert upsampled.dtype == dtype
    # torch rounds positions to the tensor's dtype, ours are float64
    np.testing.assert_allclose(upsampled, theirs[:, 0].numpy(), rtol=0, atol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize(("grid", "size"), [((7, 7), (112, 112)), ((1, 3), (5, 10)), ((14, 9), (10, 7))])
def test_upsampling_equals_bilinear_interpolation_of_torch(grid: tuple[int, int], size: tuple[int, int]) -> None:
    volume = random(3, *grid)
    theirs = functional.interpolate(torch.from_numpy(volume)[:, None], size, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(upsample_volume(volume, size), theirs[:, 0].numpy(), rtol=0, atol=1e-12)


def test_trilinear_values_of_one_hot_cell() -> None:
    volume = np.zeros((1, 2, 2, 2))
    volume[0, 1, 1, 1] = 64.0
    upsampled = upsample_volume(volume, (4, 4, 4))
    assert upsampled[0, 1, 1, 1] == 1.0  # 64 · (1/4)³
    assert upsampled[0, 2, 1, 3] == 12.0  # 64 · 3/4 · 1/4 · 1
    assert upsampled[0, 0].max() == 0.0


def test_upsampling_does_not_overshoot_and_keeps_the_mean() -> None:
    volume = random(1, 3, 7, 5)
    upsampled = upsample_volume(volume, (3, 56, 40))
    assert volume.min() <= upsampled.min() <= upsampled.max() <= volume.max()
    flat = upsample_volume(np.full((1, 3, 7, 5), 0.7), (9, 50, 33))
    np.testing.assert_allclose(flat, 0.7, rtol=1e-14)


def test_upsampling_is_linear_and_commutes_with_time_reversal() -> None:
    first, second = random(1, 3, 4, 5), np.sqrt(random(1, 3, 4, 5))
    size = (8, 9, 11)
    both = upsample_volume(2 * first + 3 * second, size)
    np.testing.assert_allclose(both, 2 * upsample_volume(first, size) + 3 * upsample_volume(second, size))
    np.testing.assert_allclose(upsample_volume(first[:, ::-1], size), upsample_volume(first, size)[:, ::-1])


def test_upsampling_to_its_own_size_copies() -> None:
    volume = random(1, 2, 3, 4)
    same = upsample_volume(volume, (2, 3, 4))
    np.testing.assert_array_equal(same, volume)
    assert not np.shares_memory(same, volume)


def test_half_precision_is_widened() -> None:
    volume = random(1, 2, 3, 4).astype(np.float16)
    assert upsample_volume(volume, (4, 6, 8)).dtype == np.float32


def test_upsampling_needs_as_many_axes_as_the_size() -> None:
    with pytest.raises(ShapeError, match=r"volume must have at least 3 axes for the size \(4, 5, 6\), got .*\(7, 7"):
        upsample_volume(np.zeros((7, 7)), (4, 5, 6))


def test_resample_plane_equals_a_double_sum() -> None:
    plane, rows, columns = random(2, 3, 4), random(5, 3), random(6, 4)
    expected = np.zeros((2, 5, 6))
    for index in np.ndindex(2, 5, 6):
        n, y, x = index
        expected[index] = sum(rows[y, i] * plane[n, i, j] * columns[x, j] for i in range(3) for j in range(4))
    np.testing.assert_allclose(resample_plane(plane, rows, columns), expected)


@pytest.mark.parametrize(("stack", "size"), [((), (700, 1300)), ((3,), (300, 2000)), ((2, 2), (1, 50_000))])
def test_large_planes_equal_the_double_sum(stack: tuple[int, ...], size: tuple[int, int]) -> None:
    """Large products are computed in parts."""
    plane = np.random.default_rng(0).random((*stack, 5, 9))
    rows, columns = resize_matrix(size[0], 5), resize_matrix(size[1], 9)
    expected = np.einsum("ya,...ab,xb->...yx", rows, plane, columns, optimize=True)
    np.testing.assert_allclose(resample_plane(plane, rows, columns), expected, rtol=1e-12)
    np.testing.assert_allclose(upsample_volume(plane, size), expected, rtol=1e-12)
    low, high = 0.2, 0.9
    np.testing.assert_array_equal(normalise(expected, low, high), np.clip((expected - low) / (high - low), 0.0, 1.0))
    turned = np.moveaxis(expected, -1, 0)
    np.testing.assert_array_equal(normalise(turned, low, high), np.clip((turned - low) / (high - low), 0.0, 1.0))


def test_no_product_is_large_enough_for_openblas_to_start_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    multiplications: list[int] = []
    matmul = np.matmul

    def watched(left: NDArray[Any], right: NDArray[Any], **others: Any) -> NDArray[Any]:
        multiplications.append(left.shape[-2] * right.shape[-2] * right.shape[-1])
        made: NDArray[Any] = matmul(left, right, **others)
        return made

    monkeypatch.setattr(np, "matmul", watched)
    rows, columns = (resize_matrix(length, 7).astype(np.float32) for length in (2160, 3840))
    planes = np.random.default_rng(0).random((4, 7, 7)).astype(np.float32)
    whole = rows @ planes[0] @ columns.T
    np.testing.assert_array_equal(resample_plane(planes[0], rows, columns), whole)
    upsample_volume(planes, (512, 512))
    assert len(multiplications) > 2160 * 7 * 3840 // (1 << 18)
    assert max(multiplications) <= 1 << 18  # above this OpenBLAS 0.3 uses several threads (interface/gemm.c)


def test_normalise_small_maps() -> None:
    np.testing.assert_array_equal(normalise(np.array([1.0, 2.0, 5.0]), 1.0, 5.0), [0, 0.25, 1])
    np.testing.assert_array_equal(normalise(np.array([-1.0, 2.0, 9.0]), 1.0, 5.0), [0, 0.25, 1])  # beyond: clipped


@pytest.mark.parametrize("value", [1e-45, 1e-6, 0.3, 1.0, 1e38])
def test_constant_positive_is_ones(value: float) -> None:
    heat = np.full((2, 3), value, np.float32)
    np.testing.assert_array_equal(normalise(heat, float(heat.min()), float(heat.max())), 1)


@pytest.mark.parametrize("values", [[0.0, 0.0], [-1.0, -1.0], [-3.0, 0.0]])
def test_no_positive_evidence_is_zeros(values: list[float]) -> None:
    np.testing.assert_array_equal(normalise(np.array(values), min(values), max(values)), 0)


@few
@given(
    st.lists(st.floats(0, width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9),
    st.sampled_from([np.float32, np.float64]),
)
def test_normalised_is_finite_in_range_and_reaches_one(values: list[float], dtype: type) -> None:
    heat: NDArray[Any] = np.array(values, dtype)
    scaled = normalise(heat, float(heat.min()), float(heat.max()))
    assert scaled.dtype == dtype
    assert np.isfinite(scaled).all()
    assert scaled.min() >= 0
    assert scaled.max() == (1 if heat.max() > 0 else 0)
    assert (np.diff(scaled[np.argsort(heat)]) >= 0).all()  # order is kept


def test_each_clip_is_normalised_alone() -> None:
    heat = random(3, 2, 4, 4)
    heat[1] *= 1000
    heat[2] = 0
    together = normalise_per_clip(heat)
    for index in range(3):
        np.testing.assert_array_equal(together[index], normalise_per_clip(heat[index : index + 1])[0])
    low, high = heat[0].min(), heat[0].max()
    np.testing.assert_allclose(together[0], (heat[0] - low) / (high - low))
    assert together[2].max() == 0


def test_division_by_the_maximum_keeps_a_positive_minimum() -> None:
    heat = np.array([[[1.0, 2.0, 4.0]], [[0.0, 0.0, 0.0]], [[3.0, 3.0, 3.0]]])
    np.testing.assert_array_equal(relative_to_maximum(heat), [[[0.25, 0.5, 1]], [[0, 0, 0]], [[1, 1, 1]]])


def test_frames_of_a_clip_share_one_scale() -> None:
    heat = np.stack([np.full((2, 2), value) for value in (0.0, 1.0, 4.0)])[None]
    np.testing.assert_array_equal(normalise_per_clip(heat)[0, :, 0, 0], [0, 0.25, 1])


def oracle_weights(second: float, stamps: list[float]) -> list[float]:
    """Compute `time_weights` by its rule: nearest outside, linear between neighbours, equal at one stamp."""
    before, after = [s for s in stamps if s <= second], [s for s in stamps if s > second]
    if not before or not after:
        near = min(stamps) if not before else max(stamps)
        return [(stamp == near) / stamps.count(near) for stamp in stamps]
    low, high = max(before), min(after)
    share = (second - low) / (high - low)
    return [
        (1 - share) / stamps.count(low) if stamp == low else share / stamps.count(high) if stamp == high else 0.0
        for stamp in stamps
    ]


def test_time_weights_of_three_frames() -> None:
    weights = time_weights(np.array([-1.0, 0.0, 0.25, 1.0, 2.0, 3.0, 8.0]), np.array([0.0, 1.0, 3.0]))
    expected = [[1, 0, 0], [1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_allclose(weights, np.array(expected, dtype=np.float64), atol=1e-15)


def test_at_a_stamp_that_frame_has_all_the_weight() -> None:
    stamps = np.array([0.0, 0.033, 0.067, 0.1, 0.133])
    np.testing.assert_allclose(time_weights(stamps, stamps), np.eye(5), rtol=0, atol=1e-12)


def test_frames_with_one_stamp_share_the_weight() -> None:
    weights = time_weights(np.array([0.5, 1.0, 2.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    expected = np.array([[1 / 2, 1 / 6, 1 / 6, 1 / 6], [0.0, 1 / 3, 1 / 3, 1 / 3], [0.0, 1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(weights, expected)


def test_a_held_frame_shares_its_weight_everywhere() -> None:
    np.testing.assert_array_equal(time_weights(np.array([-1.0, 0.0, 5.0]), np.zeros(4)), np.full((3, 4), 0.25))


@few
@given(
    st.lists(st.integers(0, 12).map(lambda tick: tick / 8), min_size=1, max_size=8),
    st.lists(st.floats(-0.5, 2), min_size=1, max_size=6),
)
def test_time_weights_follow_their_rule(stamps: list[float], seconds: list[float]) -> None:
    weights = time_weights(np.array(seconds), np.array(stamps))
    expected = np.array([oracle_weights(second, stamps) for second in seconds])
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_order_of_frames_only_permutes_the_weights() -> None:
    stamps, seconds = np.array([0.0, 0.4, 0.1, 0.1, 0.9]), np.linspace(-0.1, 1, 23)
    order = np.array([3, 0, 4, 2, 1])
    np.testing.assert_allclose(time_weights(seconds, stamps)[:, order], time_weights(seconds, stamps[order]))


def test_pooling_shares_values_on_borders() -> None:
    assert pool_volume(np.array([[6.0, 3.0, 9.0]]), (2,)).tolist() == [[7.5, 10.5]]
    assert pool_volume(np.array([[6.0, 3.0]]), (4,)).tolist() == [[3.0, 3.0, 1.5, 1.5]]
    values = np.arange(24.0).reshape(1, 4, 6)
    assert pool_volume(values, (2, 3)).tolist() == [[[14, 22, 30], [62, 70, 78]]]


def test_pooling_keeps_the_sum() -> None:
    values = np.random.default_rng(0).normal(size=(2, 17, 31, 23))
    pooled = pool_volume(values, (16, 28, 28))
    assert pooled.shape == (2, 16, 28, 28)
    np.testing.assert_allclose(pooled.sum(axis=(1, 2, 3)), values.sum(axis=(1, 2, 3)), rtol=1e-12)
    assert pool_volume(values.astype(np.float32), (16, 28, 28)).dtype == np.float32
