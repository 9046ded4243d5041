from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional as vision

from tests.helpers.geometry import to_source
from vidcam.errors import ShapeError
from vidcam.geometry import Geometry, centre_crop, cover_weights, short_side_resize, three_crops, union
from vidcam.maps import resample_plane, upsample_volume

few = settings(deadline=None, derandomize=True, max_examples=40)
sizes = st.tuples(st.integers(120, 2200), st.integers(120, 2200))


def short_side(source: tuple[int, int], side: int, crop: int) -> Geometry:
    return centre_crop(source, short_side_resize(source, side), (crop, crop))


HD = short_side((1080, 1920), 256, 224)
CASES = [
    short_side((256, 340), 256, 224),
    HD,
    short_side((1920, 1080), 256, 224),
    centre_crop((240, 320), (128, 171), (112, 112)),
    centre_crop((994, 1768), (256, 256), (224, 224)),
    short_side((64, 48), 182, 182),
    Geometry((10, 20), (30, 7), (11, 5), 3, 2),
]


def test_view_of_340_by_256_is_in_source_pixels() -> None:
    geometry = short_side((256, 340), 256, 224)
    assert geometry.resized_size == (256, 340)
    assert geometry.view_box == pytest.approx((16, 58, 240, 282), abs=0)
    assert geometry.view_slices() == (slice(16, 240), slice(58, 282))


def test_view_of_a_wide_video() -> None:
    assert HD.resized_size == (256, 455)  # 256 · 16/9 = 455.1
    assert (HD.top_px, HD.left_px) == (16, 116)
    assert HD.view_box == pytest.approx((16 * 1080 / 256, 116 * 1920 / 455, 240 * 1080 / 256, 340 * 1920 / 455))
    assert HD.view_slices() == (slice(67, 1012), slice(489, 1435))  # 67.5…1012.5, 489.49…1434.73


def test_view_of_a_portrait_is_the_landscape_transposed() -> None:
    tall = short_side((1920, 1080), 256, 224)
    top, left, bottom, right = HD.view_box
    assert tall.view_box == (left, top, right, bottom)


def test_c3d_takes_rows_8_to_120_and_columns_30_to_142() -> None:
    geometry = centre_crop((240, 320), (128, 171), (112, 112))
    assert (geometry.top_px, geometry.top_px + 112) == (8, 120)
    assert (geometry.left_px, geometry.left_px + 112) == (30, 142)
    assert geometry.view_box == pytest.approx((15, 30 * 320 / 171, 225, 142 * 320 / 171))


@few
@given(sizes, st.sampled_from([112, 128, 182, 256]))
def test_short_side_resize_equals_torchvision(source: tuple[int, int], side: int) -> None:
    theirs = vision.resize(torch.zeros(1, *source, dtype=torch.uint8), [side], antialias=False).shape[1:]
    assert short_side_resize(source, side) == tuple(theirs)


@pytest.mark.parametrize("height", range(112, 120))
@pytest.mark.parametrize("width", [112, 113, 115, 171, 173])
def test_centre_crop_equals_torchvision(height: int, width: int) -> None:
    coded = torch.arange(height * width).view(1, height, width)
    geometry = centre_crop((height, width), (height, width), (112, 112))
    theirs = vision.center_crop(coded, [112, 112])
    assert int(theirs[0, 0, 0]) == geometry.top_px * width + geometry.left_px


@pytest.mark.parametrize(("length", "even", "down"), [(113, 0, 0), (115, 2, 1), (117, 2, 2), (118, 3, 3)])
def test_half_a_pixel_of_the_crops_offset(length: int, even: int, down: int) -> None:
    size, crop = (112, length), (112, 112)
    assert centre_crop(size, size, crop).left_px == even
    assert centre_crop(size, size, crop, rounds_down=True).left_px == down


@pytest.mark.parametrize("geometry", CASES)
def test_to_model_inverts_the_view(geometry: Geometry) -> None:
    for y, x in [(0.0, 0.0), (17.3, 99.1), (-4.0, 1e4)]:
        assert to_source(geometry, *geometry.to_model(y, x)) == pytest.approx((y, x), abs=1e-9)
        assert geometry.to_model(*to_source(geometry, y, x)) == pytest.approx((y, x), abs=1e-9)


@pytest.mark.parametrize("geometry", CASES)
def test_corners_of_the_view_are_the_corners_of_the_input(geometry: Geometry) -> None:
    top, left, bottom, right = geometry.view_box
    assert geometry.to_model(top, left) == pytest.approx((0, 0), abs=1e-9)
    assert geometry.to_model(bottom, right) == pytest.approx(geometry.crop_size)


def middles_inside(source: int, resized: int, crop: int, offset: int) -> list[int]:
    """Source pixels whose middle, in exact fractions, lies in [first edge, last edge) of the crop."""
    scale = Fraction(source, resized)
    return [i for i in range(source) if offset * scale <= Fraction(2 * i + 1, 2) < (offset + crop) * scale]


def test_a_centre_exactly_on_the_edge_of_the_crop_is_inside() -> None:
    """(350, 245) at short side 182: rows 260, crop from 39; 39 · 350 / 260 = 52.5 is the centre of row 52."""
    geometry = centre_crop((350, 245), (260, 182), (182, 182))
    assert geometry.view_slices()[0] == slice(52, 297)


@few
@given(sizes, st.sampled_from([((128, 171), 112), ((256, 256), 224), (256, 224), (128, 112), (182, 182)]))
def test_view_slices_are_the_pixels_whose_middle_is_inside(
    source: tuple[int, int], model: tuple[tuple[int, int] | int, int]
) -> None:
    resize, crop = model
    resized = short_side_resize(source, resize) if isinstance(resize, int) else resize
    geometry = centre_crop(source, resized, (crop, crop))
    rows, columns = geometry.view_slices()
    assert list(range(rows.start, rows.stop)) == middles_inside(source[0], resized[0], crop, geometry.top_px)
    assert list(range(columns.start, columns.stop)) == middles_inside(source[1], resized[1], crop, geometry.left_px)


@pytest.mark.parametrize("grid", [(7, 7), (4, 9), (1, 1), (28, 14)])
def test_drawing_on_an_unscaled_source_equals_the_model_grid(grid: tuple[int, int]) -> None:
    geometry = Geometry((40, 50), (40, 50), (28, 36), 5, 9)
    plane = np.random.default_rng(1).random((2, *grid)).astype(np.float32)
    rows, columns = geometry.source_matrices(grid)
    assert rows.dtype == columns.dtype == np.float32
    np.testing.assert_allclose(resample_plane(plane, rows, columns), upsample_volume(plane, (28, 36)), atol=1e-6)


@pytest.mark.parametrize("geometry", CASES)
def test_matrices_have_one_row_per_pixel_of_the_view(geometry: Geometry) -> None:
    rows, columns = geometry.source_matrices((7, 5))
    rows_slice, columns_slice = geometry.view_slices()
    assert rows.shape == (rows_slice.stop - rows_slice.start, 7)
    assert columns.shape == (columns_slice.stop - columns_slice.start, 5)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(columns.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("geometry", CASES[:-1])
def test_a_ramp_over_the_source_keeps_its_position(geometry: Geometry) -> None:
    """Each cell holds the source position of its centre. The drawn map then holds the positions of the pixel
    centres."""
    grid = (7, 6)
    y_cells = (np.arange(7) + 0.5) * geometry.crop_size[0] / 7
    x_cells = (np.arange(6) + 0.5) * geometry.crop_size[1] / 6
    y_source = np.array([to_source(geometry, y, 0)[0] for y in y_cells])
    x_source = np.array([to_source(geometry, 0, x)[1] for x in x_cells])
    rows, columns = geometry.source_matrices(grid)
    drawn = resample_plane(y_source[:, None] + 1000 * x_source[None, :], rows, columns)
    rows_slice, columns_slice = geometry.view_slices()
    y_pixels = np.clip(np.arange(rows_slice.start, rows_slice.stop) + 0.5, y_source[0], y_source[-1])
    x_pixels = np.clip(np.arange(columns_slice.start, columns_slice.stop) + 0.5, x_source[0], x_source[-1])
    np.testing.assert_allclose(drawn, y_pixels[:, None] + 1000 * x_pixels[None, :], rtol=1e-5)


def test_a_hot_cell_is_drawn_at_its_source_position() -> None:
    plane = np.zeros((7, 7), np.float32)
    plane[2, 5] = 1
    rows, columns = HD.source_matrices((7, 7))
    drawn = resample_plane(plane, rows, columns)
    y, x = np.unravel_index(int(drawn.argmax()), drawn.shape)
    rows_slice, columns_slice = HD.view_slices()
    middle = to_source(HD, 2.5 * 32, 5.5 * 32)  # a cell is 32 input pixels wide
    assert (rows_slice.start + y + 0.5, columns_slice.start + x + 0.5) == pytest.approx(middle, abs=0.51)


@pytest.mark.parametrize(
    "change",
    [
        {"top_px": -1},
        {"left_px": -1},
        {"top_px": 6},
        {"left_px": 6},
        {"crop_size": (0, 5)},
        {"source_size": (0, 20)},
        {"resized_size": (10, 9)},
        {"crop_size": (11, 5)},
    ],
)
def test_the_crop_must_lie_inside(change: dict[str, object]) -> None:
    fits = Geometry((20, 20), (10, 10), (5, 5), 5, 5)
    fields: dict[str, object] = {field.name: getattr(fits, field.name) for field in dataclasses.fields(fits)}
    with pytest.raises(ShapeError, match="the crop must lie inside the resized frame, with sizes >= 1, got Geom"):
        Geometry(**(fields | change))  # type: ignore[arg-type]


def test_a_crop_larger_than_the_frame() -> None:
    with pytest.raises(ShapeError, match="the crop must lie inside"):
        centre_crop((100, 100), (100, 100), (112, 112))


def test_equal_geometries_are_equal() -> None:
    assert short_side((1080, 1920), 256, 224) == HD
    assert math.isclose(HD.view_box[0], 67.5)


def test_three_crops_of_a_wide_video_reach_both_sides() -> None:
    first, middle, last = three_crops(HD)
    assert middle == HD
    assert [crop.left_px for crop in (first, middle, last)] == [0, 116, 455 - 224]
    assert {crop.top_px for crop in (first, middle, last)} == {16}
    assert union((first, middle, last)) == Geometry((1080, 1920), (256, 455), (224, 455), 16, 0)


def test_three_crops_of_a_portrait_are_the_landscape_transposed() -> None:
    tall = short_side((1920, 1080), 256, 224)
    wide = three_crops(HD)
    assert [(crop.left_px, crop.top_px) for crop in three_crops(tall)] == [(crop.top_px, crop.left_px) for crop in wide]
    assert union(three_crops(tall)).crop_size == (455, 224)


@pytest.mark.parametrize("resized", [(224, 225), (225, 224)])
def test_one_pixel_more_needs_no_second_crop(resized: tuple[int, int]) -> None:
    centre = centre_crop((480, 482), resized, (224, 224))
    assert three_crops(centre) == (centre,)


@pytest.mark.parametrize(
    "geometry",
    [short_side((500, 500), 256, 224), short_side((64, 64), 56, 56), centre_crop((9, 90), (16, 16), (16, 16))],
)
def test_a_square_frame_has_one_crop(geometry: Geometry) -> None:
    assert three_crops(geometry) == (geometry,)
    assert union((geometry,)) == geometry


def test_the_crops_of_a_very_long_frame_touch_and_leave_its_ends_unseen() -> None:
    panorama = short_side((200, 1000), 64, 56)  # 320 wide, more than 3 × 56
    crops = three_crops(panorama)
    assert [crop.left_px for crop in crops] == [132 - 56, 132, 132 + 56]
    assert union(crops).view_box == pytest.approx((12.5, 76 * 3.125, 187.5, 244 * 3.125))


@few
@given(sizes, st.sampled_from([(256, 224), (182, 182), (64, 56)]))
def test_three_crops_leave_no_gap_between_them(source: tuple[int, int], model: tuple[int, int]) -> None:
    crops = three_crops(short_side(source, *model))
    for one, other in itertools.pairwise(crops):
        assert 0 <= other.left_px - one.left_px <= model[1]
        assert 0 <= other.top_px - one.top_px <= model[1]
    assert crops[len(crops) // 2] == short_side(source, *model)


def test_cells_of_a_larger_view_by_hand() -> None:
    """Four cells of 4 pixels from pixel 4 on, in a view of 28 pixels: seven cells, the crop covers numbers 1 to 4."""
    weights, is_covered = cover_weights(slice(4, 20), 28, 4)
    assert is_covered.tolist() == [False, True, True, True, True, False, False]
    np.testing.assert_array_equal(weights[1:5], np.eye(4))


@pytest.mark.parametrize(("offset", "whole"), [(0, 455), (116, 455), (231, 455), (0, 224)])
def test_the_cells_of_a_larger_view_are_as_large_as_those_of_the_crop(offset: int, whole: int) -> None:
    weights, is_covered = cover_weights(slice(offset, offset + 224), whole, 7)
    assert abs(whole / len(weights) - 32) < 32 / len(weights)
    centres = (np.arange(len(weights)) + 0.5) * whole / len(weights)
    own = offset + (np.arange(7) + 0.5) * 32
    is_inner = is_covered & (centres >= own[0]) & (centres <= own[-1])
    assert is_inner.sum() >= 5
    np.testing.assert_allclose((weights @ own)[is_inner], centres[is_inner])
