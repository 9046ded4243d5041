"""Guided maps as pictures: grey, signs, scale, and where a spike lands."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.geometry import to_source
from vidcam.errors import InputError, ShapeError
from vidcam.geometry import Geometry, centre_crop, short_side_resize
from vidcam.render.overlay import outline
from vidcam.render.signed import guided_on_source, guided_picture, guided_scale

WHOLE = (slice(0, 50), slice(0, 60))
VIEW = (slice(10, 60), slice(20, 80))
INSIDE = (slice(14, 56), slice(24, 76))  # of the view, within its outline


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class TestPicture:
    def test_by_hand(self) -> None:
        values = np.array([[[0.0, 1.0, -1.0], [0.5, -0.5, 3.0]]], dtype=np.float32)
        picture = guided_picture(values, (slice(0, 1), slice(0, 2)), (1, 2), 1.0)
        # 127.5 + 63.75 = 191.25, 127.5 - 63.75 = 63.75
        assert picture.tolist() == [[[128, 255, 0], [191, 64, 255]]]
        halved = guided_picture(values, (slice(0, 1), slice(0, 2)), (1, 2), 2.0)
        assert halved.tolist() == [[[128, 191, 64], [159, 96, 255]]]  # 127.5 ± 31.875

    def test_nothing_is_uniform_grey(self) -> None:
        picture = guided_picture(np.zeros((50, 60, 3), np.float32), WHOLE, (50, 60), 1.0)
        assert picture.dtype == np.uint8
        assert picture.shape == (50, 60, 3)
        assert np.all(picture == 128)

    def test_outside_the_view_is_grey_and_the_view_is_outlined(self) -> None:
        picture = guided_picture(noise(50, 60, 3), VIEW, (70, 90), 1.0)
        outside = np.ones((70, 90), dtype=bool)
        outside[VIEW] = False
        assert np.all(picture[outside] == 128)
        empty = guided_picture(np.zeros((50, 60, 3), np.float32), VIEW, (70, 90), 1.0)
        assert np.array_equal(empty, outline(np.full((70, 90, 3), 128, np.uint8), VIEW))
        assert not np.all(empty == 128)

    def test_opposite_signs_are_opposite_greys(self) -> None:
        values = noise(50, 60, 3)
        one, other = (guided_picture(v, VIEW, (70, 90), 1.5)[INSIDE].astype(int) for v in (values, -values))
        assert set(np.unique(one + other)) <= {255, 256}  # a half is rounded up on both sides
        assert np.all((one > 128) <= (values[4:-4, 4:-4] > 0))

    def test_beyond_the_scale_it_is_white_or_black(self) -> None:
        values = np.broadcast_to(np.array([7.0, -7.0, 1e30], np.float32), (50, 60, 3))
        assert guided_picture(values, WHOLE, (50, 60), 1e-9)[25, 30].tolist() == [255, 0, 255]

    @pytest.mark.parametrize("scale", [1e-44, 1e-36, 1e30])
    def test_any_size_of_values_will_do(self, scale: float) -> None:
        values = np.float32(scale) * np.array([1.0, -1.0, 0.0], np.float32) * np.ones((50, 60, 1), np.float32)
        picture = guided_picture(values, WHOLE, (50, 60), float(np.float32(scale)))
        assert picture[25, 30].tolist() == [255, 0, 128]

    def test_one_channel_has_no_colour(self) -> None:
        values = noise(50, 60, 1)
        picture = guided_picture(values, WHOLE, (50, 60), 1.0)
        assert np.array_equal(picture, guided_picture(values.repeat(3, axis=2), WHOLE, (50, 60), 1.0))

    def test_values_stay_as_they_are(self) -> None:
        values = noise(50, 60, 3).astype(np.float64)
        before = values.copy()
        guided_picture(values, VIEW, (70, 90), 1.0)
        assert np.array_equal(values, before)

    @pytest.mark.parametrize("shape", [(60, 50, 3), (50, 60, 2), (50, 60), (3, 50, 60)])
    def test_wrong_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match=r"guided values must be \(50, 60\), as the view, with 1 or 3 channels"):
            guided_picture(noise(*shape), VIEW, (70, 90), 1.0)

    @pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_scale_that_is_no_positive_number_is_refused(self, scale: float) -> None:
        with pytest.raises(InputError, match="it must be a positive number; `guided_scale` gives one"):
            guided_picture(noise(50, 60, 3), VIEW, (70, 90), scale)

    def test_numbers_that_are_not_finite_are_refused(self) -> None:
        values = noise(50, 60, 3)
        values[0, 0, 0] = np.nan
        with pytest.raises(ShapeError, match="guided values contain NaN or infinity"):
            guided_picture(values, VIEW, (70, 90), 1.0)

    def test_a_view_that_is_not_in_the_frame_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="the view must be a pair of slices inside the frame"):
            guided_picture(noise(50, 60, 3), VIEW, (55, 90), 1.0)


class TestScale:
    def test_is_the_percentile_of_the_magnitudes(self) -> None:
        values = np.arange(-1000, 1001) / 1000  # |v|: 0 once, each of 1/1000 … 1 twice
        assert guided_scale(values) == pytest.approx(0.995, abs=1e-3)
        assert guided_scale(values.reshape(3, 23, 29)) == guided_scale(values)

    def test_a_few_spikes_do_not_set_it(self) -> None:
        values = noise(3, 8, 40, 40)
        spiked = values.copy()
        spiked[0, 0, 0, :20] = 1e6
        assert guided_scale(spiked) == pytest.approx(guided_scale(values), rel=0.05)

    def test_is_positive_where_hardly_anything_is_not_zero(self) -> None:
        values = np.zeros(10_000)
        values[7] = -3.0
        assert guided_scale(values) == 3.0

    @pytest.mark.parametrize("shape", [(3, 4, 5), (0,)])
    def test_of_nothing_is_one(self, shape: tuple[int, ...]) -> None:
        assert guided_scale(np.zeros(shape, np.float32)) == 1.0

    def test_multiplies_with_the_values(self) -> None:
        values = noise(3, 8, 40, 40).astype(np.float64)
        assert guided_scale(1e-9 * values) == pytest.approx(1e-9 * guided_scale(values))

    def test_numbers_that_are_not_finite_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="guided values contain NaN or infinity"):
            guided_scale(np.array([1.0, np.inf]))


def short_side(source: tuple[int, int], side: int, crop: int) -> Geometry:
    return centre_crop(source, short_side_resize(source, side), (crop, crop))


GEOMETRIES = {
    "landscape": short_side((256, 340), 256, 224),
    "portrait": short_side((340, 256), 256, 224),
    "HD": short_side((1080, 1920), 256, 224),
    "HD portrait": short_side((1920, 1080), 256, 224),
    "stretched": centre_crop((994, 1768), (256, 256), (224, 224)),
    "C3D": centre_crop((240, 320), (128, 171), (112, 112)),
    "a little smaller than the input": short_side((240, 320), 256, 224),
}
PLACES = [(0, 0), (17, 93), (50, 50), (111, 3), (-1, -1)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_spike_lands_on_its_place_and_comes_back(name: str, place: tuple[int, int]) -> None:
    geometry = GEOMETRIES[name]
    height, width = geometry.crop_size
    y, x = place[0] % height, place[1] % width
    values = np.zeros((3, height, width), np.float32)
    values[1, y, x] = -1.0
    drawn = guided_on_source(values, geometry)
    rows, columns = geometry.view_slices()
    assert drawn.shape == (rows.stop - rows.start, columns.stop - columns.start, 3)
    assert not drawn[:, :, [0, 2]].any()
    y_found, x_found = np.unravel_index(int(drawn[:, :, 1].argmin()), drawn.shape[:2])
    middle = (rows.start + float(y_found) + 0.5, columns.start + float(x_found) + 0.5)
    down, across = (s / r for s, r in zip(geometry.source_size, geometry.resized_size, strict=True))
    if 0 < y < height - 1 and 0 < x < width - 1:  # at the border the value stays, so the first pixel wins
        source = to_source(geometry, y + 0.5, x + 0.5)
        assert middle == (pytest.approx(source[0], abs=0.51), pytest.approx(source[1], abs=0.51))
    back = geometry.to_model(*middle)
    assert abs(back[0] - y - 0.5) <= max(1.0, 0.5 / down)
    assert abs(back[1] - x - 0.5) <= max(1.0, 0.5 / across)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_drawn_on_the_frame_a_spike_is_white_at_its_place(name: str) -> None:
    geometry = GEOMETRIES[name]
    values = np.zeros((3, *geometry.crop_size), np.float32)
    values[:, 60, 40] = 1.0
    drawn = guided_on_source(values, geometry)
    picture = guided_picture(drawn, geometry.view_slices(), geometry.source_size, float(drawn.max()))
    y, x = to_source(geometry, 60.5, 40.5)
    rows, columns = geometry.view_slices()
    inner = picture[rows.start + 8 : rows.stop - 8, columns.start + 8 : columns.stop - 8, 0]
    y_found, x_found = np.unravel_index(int(inner.argmax()), inner.shape)
    assert inner.max() == 255
    assert y_found + rows.start + 8 + 0.5 == pytest.approx(y, abs=0.51)
    assert x_found + columns.start + 8 + 0.5 == pytest.approx(x, abs=0.51)


def test_without_scaling_the_values_are_the_inputs_own() -> None:
    values = noise(3, 224, 224)
    drawn = guided_on_source(values, GEOMETRIES["landscape"])
    np.testing.assert_allclose(drawn, np.moveaxis(values, 0, -1), atol=1e-6)


def test_values_of_many_frames_at_once_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"guided values of a frame must be \(C, H, W\), got values.shape = \(3, 8, 4"):
        guided_on_source(noise(3, 8, 40, 40), GEOMETRIES["landscape"])
