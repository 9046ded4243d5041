"""Pictures of guided maps: grey levels, scale and positions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.geometry import to_source
from tests.helpers.rendered import outlined
from vidcam.geometry import Geometry, centre_crop, short_side_resize
from vidcam.render.signed import guided_on_source, guided_picture, guided_scale

FULL = (slice(0, 50), slice(0, 60))
VIEW = (slice(10, 60), slice(20, 80))
INSIDE = (slice(14, 56), slice(24, 76))  # the view without its outline


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

    def test_zero_is_grey(self) -> None:
        picture = guided_picture(np.zeros((50, 60, 3), np.float32), FULL, (50, 60), 1.0)
        assert picture.dtype == np.uint8
        assert picture.shape == (50, 60, 3)
        assert np.all(picture == 128)

    def test_outside_the_view_is_grey_and_the_view_is_outlined(self) -> None:
        picture = guided_picture(noise(50, 60, 3), VIEW, (70, 90), 1.0)
        outside = np.ones((70, 90), dtype=bool)
        outside[VIEW] = False
        assert np.all(picture[outside] == 128)
        empty = guided_picture(np.zeros((50, 60, 3), np.float32), VIEW, (70, 90), 1.0)
        assert np.array_equal(empty, outlined(np.full((70, 90, 3), 128, np.uint8), VIEW))
        assert not np.all(empty == 128)

    def test_opposite_signs_are_opposite_greys(self) -> None:
        values = noise(50, 60, 3)
        picture, inverse = (guided_picture(v, VIEW, (70, 90), 1.5)[INSIDE].astype(int) for v in (values, -values))
        assert set(np.unique(picture + inverse)) <= {255, 256}  # 256 where both round up a half
        assert np.all((picture > 128) <= (values[4:-4, 4:-4] > 0))

    def test_values_beyond_the_scale_are_white_or_black(self) -> None:
        values = np.broadcast_to(np.array([7.0, -7.0, 1e30], np.float32), (50, 60, 3))
        assert guided_picture(values, FULL, (50, 60), 1e-9)[25, 30].tolist() == [255, 0, 255]

    @pytest.mark.parametrize("scale", [1e-44, 1e-36, 1e30])
    def test_very_small_and_large_scales(self, scale: float) -> None:
        values = np.float32(scale) * np.array([1.0, -1.0, 0.0], np.float32) * np.ones((50, 60, 1), np.float32)
        picture = guided_picture(values, FULL, (50, 60), float(np.float32(scale)))
        assert picture[25, 30].tolist() == [255, 0, 128]

    def test_one_channel_gives_a_grey_picture(self) -> None:
        values = noise(50, 60, 1)
        picture = guided_picture(values, FULL, (50, 60), 1.0)
        assert np.array_equal(picture, guided_picture(values.repeat(3, axis=2), FULL, (50, 60), 1.0))

    def test_values_are_not_modified(self) -> None:
        values = noise(50, 60, 3).astype(np.float64)
        before = values.copy()
        guided_picture(values, VIEW, (70, 90), 1.0)
        assert np.array_equal(values, before)


class TestScale:
    def test_is_the_percentile_of_the_magnitudes(self) -> None:
        values = np.arange(-1000, 1001) / 1000  # |v|: 0 once, each of 1/1000 … 1 twice
        assert guided_scale(values) == pytest.approx(0.995, abs=1e-3)
        assert guided_scale(values.reshape(3, 23, 29)) == guided_scale(values)

    def test_single_spikes_do_not_change_it(self) -> None:
        values = noise(3, 8, 40, 40)
        spiked = values.copy()
        spiked[0, 0, 0, :20] = 1e6
        assert guided_scale(spiked) == pytest.approx(guided_scale(values), rel=0.05)

    def test_is_the_maximum_if_the_percentile_is_zero(self) -> None:
        values = np.zeros(10_000)
        values[7] = -3.0
        assert guided_scale(values) == 3.0

    @pytest.mark.parametrize("shape", [(3, 4, 5), (0,)])
    def test_is_one_if_all_values_are_zero(self, shape: tuple[int, ...]) -> None:
        assert guided_scale(np.zeros(shape, np.float32)) == 1.0

    def test_is_proportional_to_the_values(self) -> None:
        values = noise(3, 8, 40, 40).astype(np.float64)
        assert guided_scale(1e-9 * values) == pytest.approx(1e-9 * guided_scale(values))


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
POSITIONS = [(0, 0), (17, 93), (50, 50), (111, 3), (-1, -1)]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_spike_keeps_its_position(name: str, position: tuple[int, int]) -> None:
    geometry = GEOMETRIES[name]
    height, width = geometry.crop_size
    y, x = position[0] % height, position[1] % width
    values = np.zeros((3, height, width), np.float32)
    values[1, y, x] = -1.0
    drawn = guided_on_source(values, geometry)
    rows, columns = geometry.view_slices()
    assert drawn.shape == (rows.stop - rows.start, columns.stop - columns.start, 3)
    assert not drawn[:, :, [0, 2]].any()
    peak_y, peak_x = np.unravel_index(int(drawn[:, :, 1].argmin()), drawn.shape[:2])
    centre = (rows.start + float(peak_y) + 0.5, columns.start + float(peak_x) + 0.5)
    y_scale, x_scale = (s / r for s, r in zip(geometry.source_size, geometry.resized_size, strict=True))
    if 0 < y < height - 1 and 0 < x < width - 1:  # border values extend outwards, so argmin finds the outermost pixel
        source = to_source(geometry, y + 0.5, x + 0.5)
        assert centre == (pytest.approx(source[0], abs=0.51), pytest.approx(source[1], abs=0.51))
    model_y, model_x = geometry.to_model(*centre)
    assert abs(model_y - y - 0.5) <= max(1.0, 0.5 / y_scale)
    assert abs(model_x - x - 0.5) <= max(1.0, 0.5 / x_scale)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_spike_is_white_in_the_picture(name: str) -> None:
    geometry = GEOMETRIES[name]
    values = np.zeros((3, *geometry.crop_size), np.float32)
    values[:, 60, 40] = 1.0
    drawn = guided_on_source(values, geometry)
    picture = guided_picture(drawn, geometry.view_slices(), geometry.source_size, float(drawn.max()))
    y, x = to_source(geometry, 60.5, 40.5)
    rows, columns = geometry.view_slices()
    inner = picture[rows.start + 8 : rows.stop - 8, columns.start + 8 : columns.stop - 8, 0]
    peak_y, peak_x = np.unravel_index(int(inner.argmax()), inner.shape)
    assert inner.max() == 255
    assert peak_y + rows.start + 8 + 0.5 == pytest.approx(y, abs=0.51)
    assert peak_x + columns.start + 8 + 0.5 == pytest.approx(x, abs=0.51)


def test_values_do_not_change_without_resizing() -> None:
    values = noise(3, 224, 224)
    drawn = guided_on_source(values, GEOMETRIES["landscape"])
    np.testing.assert_allclose(drawn, np.moveaxis(values, 0, -1), atol=1e-6)
