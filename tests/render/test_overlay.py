"""Overlay, outline and explanation map, compared with numbers computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.rendered import outlined
from vidcam.errors import InputError, ShapeError
from vidcam.fill import FILLS, Fill
from vidcam.maps import upsample_volume
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Overlay, drawn_colours, explanation_map, opacity_curve, overlay

MEAN_RGB = (110.2, 100.6, 95.5)


@pytest.fixture
def frame() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)


@pytest.fixture
def table() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)


VIEW = (slice(10, 60), slice(20, 80))


def heat_of(value: float) -> NDArray[np.float32]:
    return np.full((50, 60), value, dtype=np.float32)


class TestBlend:
    def test_by_hand(self) -> None:
        table = np.zeros((256, 3), dtype=np.uint8)
        table[255] = (200, 100, 0)
        table[51] = (10, 20, 30)
        frame = np.array([[[100, 101, 103], [100, 101, 103], [7, 8, 9]]], dtype=np.uint8)
        heat = np.array([[1.0, 0.2, 0.0]], dtype=np.float32)
        result = Overlay(table, opacity=0.6).blend(frame, heat, (slice(0, 1), slice(0, 3)))
        # heat 1: 0.6 * (200, 100, 0) + 0.4 * (100, 101, 103) = (160, 100.4, 41.2)
        # heat 0.2 is 0.8 of the fade: s = 0.512 * (3.84 - 12 + 10) = 0.94208, a = 0.6 * 0.6 * s = 0.33915
        # 0.33915 * (10, 20, 30) + 0.66085 * (100, 101, 103) = (69.48, 73.53, 78.24)
        assert result.tolist() == [[[160, 100, 41], [69, 74, 78], [7, 8, 9]]]

    def test_equals_the_formula_rounded(self, frame: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        heat = np.random.default_rng(2).random((50, 60)).astype(np.float32)
        steps = np.floor(heat * np.float32(255) + np.float32(0.5)).astype(int)
        alpha = opacity_curve(0.45)[steps][:, :, None]
        exact = alpha * table[steps] + (1 - alpha) * frame[VIEW]
        result = Overlay(table, opacity=0.45).blend(frame, heat, VIEW)
        assert np.abs(result[VIEW] - exact).max() <= 0.5 + 1e-9

    def test_zero_heat_does_not_change_the_frame(self, frame: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        assert np.array_equal(Overlay(table, opacity=1.0).blend(frame, heat_of(0.0), VIEW), frame)

    def test_zero_opacity_does_not_change_the_frame(self, frame: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        assert np.array_equal(Overlay(table, opacity=0.0).blend(frame, heat_of(1.0), VIEW), frame)

    def test_full_heat_and_opacity_give_the_colour(self, frame: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        result = Overlay(table, opacity=1.0).blend(frame, heat_of(1.0), VIEW)
        assert np.all(result[VIEW] == table[255])

    def test_pixels_outside_the_view_do_not_change(self, frame: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        result = Overlay(table).blend(frame, heat_of(1.0), VIEW)
        result[VIEW] = frame[VIEW]
        assert np.array_equal(result, frame)

    def test_inputs_are_not_modified(self, frame: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        heat = heat_of(0.7)
        before = frame.copy()
        Overlay(table).blend(frame, heat, VIEW)
        assert np.array_equal(frame, before)
        assert np.array_equal(heat, heat_of(0.7))

    def test_a_read_only_frame_and_a_strided_heat_are_accepted(
        self, frame: NDArray[np.uint8], table: NDArray[np.uint8]
    ) -> None:
        heat = np.random.default_rng(3).random((60, 50)).astype(np.float32).T
        frame.flags.writeable = False
        overlay = Overlay(table)
        assert np.array_equal(overlay.blend(frame, heat, VIEW), overlay.blend(frame, np.ascontiguousarray(heat), VIEW))

    def test_rounding_errors_in_the_heat_are_accepted(self, frame: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        overlay = Overlay(table)
        assert np.array_equal(overlay.blend(frame, heat_of(1.0 + 1e-6), VIEW), overlay.blend(frame, heat_of(1.0), VIEW))
        assert np.array_equal(overlay.blend(frame, heat_of(-1e-6), VIEW), frame)

    @pytest.mark.parametrize("value", [1.1, -0.1, np.nan, np.inf])
    def test_heat_outside_its_range(self, frame: NDArray[np.uint8], table: NDArray[np.uint8], value: float) -> None:
        with pytest.raises(ShapeError, match=r"heat must be in \[0, 1\], got .* normalise it first"):
            Overlay(table).blend(frame, heat_of(value), VIEW)

    @pytest.mark.parametrize("opacity", [-0.1, 1.5, float("nan")])
    def test_an_opacity_outside_its_range(self, table: NDArray[np.uint8], opacity: float) -> None:
        with pytest.raises(InputError, match=r"opacity must be in \[0, 1\], got "):
            Overlay(table, opacity=opacity)


FOOTAGE = {"black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255), "skin": (228, 179, 111)} | {
    "pale skin": (233, 196, 175),
    "dark skin": (96, 62, 46),
    "grass": (96, 122, 62),
    "sunlit grass": (168, 176, 84),
    "sky": (120, 170, 225),
    "snow": (232, 238, 244),
    "wood": (180, 130, 80),
    "water": (40, 110, 130),
}
"""Colours of what is often filmed."""


class TestContrast:
    """What `docs/evidence/overlay.md` measures on clips, on made frames."""

    def test_the_curve_grows_from_zero_to_the_largest_opacity(self) -> None:
        curve = opacity_curve(0.65)
        assert curve.shape == (256,)
        assert (curve[0], curve[255]) == (0.0, 0.65)
        assert np.all(np.diff(curve[3:]) > 0)
        assert curve[64] == pytest.approx(0.65 * (1 + 64 / 255) / 2)  # from 0.25 on, the straight line alone
        assert curve[:6].max() < 0.002

    @pytest.mark.parametrize("opacity", [0.65, 1.0])
    def test_heat_below_a_fiftieth_changes_a_pixel_by_at_most_two(self, opacity: float) -> None:
        pixels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
        for value in np.linspace(0.0, 0.0199, 20):
            heat = np.full((1, 256), value, np.float32)
            drawn = Overlay(colour_table(), opacity=opacity).blend(pixels, heat, (slice(0, 1), slice(0, 256)))
            assert np.abs(drawn.astype(int) - pixels).max() <= 2

    @pytest.mark.parametrize("name", FOOTAGE)
    def test_evidence_is_visible_on_any_ground(self, name: str) -> None:
        """Of a frame whose heat reaches a quarter, the strongest 16 × 16 block changes by 20 of 255 or more."""
        frame = np.broadcast_to(np.array(FOOTAGE[name], np.uint8), (64, 64, 3))
        shape = np.exp(-((np.arange(64) - 31.5) ** 2) / (2 * 12.0**2))
        for peak in (0.25, 0.4, 0.5, 0.6, 0.75, 1.0):
            heat = (peak * np.outer(shape, shape)).astype(np.float32)
            drawn = Overlay(colour_table()).blend(frame, heat, (slice(0, 64), slice(0, 64)))
            change = np.abs(drawn.astype(int) - frame)[24:40, 24:40].mean()
            assert change >= 20, (name, peak, change)

    def test_edges_stay_readable_under_the_strongest_evidence(self) -> None:
        """Stripes 40 of 255 apart keep at least a third of it, and their gradients correlate with the source's."""
        stripes = np.where(np.arange(96) // 6 % 2, 150, 110).astype(np.uint8)
        frame = np.broadcast_to(stripes[None, :, None], (96, 96, 3))
        shape = np.exp(-((np.arange(96) - 47.5) ** 2) / (2 * 20.0**2))
        heat = np.outer(shape, shape).astype(np.float32)
        drawn = Overlay(colour_table()).blend(frame, heat, (slice(0, 96), slice(0, 96)))
        hottest = heat >= np.quantile(heat, 0.9)
        before, after = (
            np.concatenate([slope[hottest] for slope in np.gradient(picture @ [0.2126, 0.7152, 0.0722])])
            for picture in (frame.astype(float), drawn.astype(float))
        )
        assert np.corrcoef(before, after)[0, 1] >= 0.6
        assert (before @ after) / (before @ before) >= 1 / 3

    def test_the_drawn_colours_are_those_over_mid_grey(self) -> None:
        grey = np.full((1, 256, 3), 128, np.uint8)
        heat = np.linspace(0, 1, 256, dtype=np.float32)[None]
        drawn = Overlay(colour_table(), opacity=0.4).blend(grey, heat, (slice(0, 1), slice(0, 256)))
        np.testing.assert_array_equal(drawn[0], drawn_colours(colour_table(), 0.4))
        assert drawn[0, 0].tolist() == [128] * 3


class TestOutline:
    def test_a_white_line_inside_a_black_one_at_half_opacity(self) -> None:
        frame = np.full((9, 9, 3), 100, dtype=np.uint8)
        view = (slice(1, 8), slice(1, 8))
        expected = np.full((9, 9), 100)
        expected[1:8, 1:8] = 50
        expected[2:7, 2:7] = (100 + 255 + 1) // 2
        expected[3:6, 3:6] = 100
        assert np.array_equal(outlined(frame, view), np.repeat(expected[:, :, None], 3, axis=2))

    def test_changes_only_pixels_inside_the_view_near_its_border(self, frame: NDArray[np.uint8]) -> None:
        changed = (outlined(frame, VIEW) != frame).any(axis=2)
        band = np.zeros_like(changed)
        band[VIEW] = True
        band[12:58, 22:78] = False
        assert not changed[~band].any()
        assert changed[band].mean() > 0.99

    def test_no_line_on_the_edge_of_the_frame(self) -> None:
        frame = np.full((20, 30, 3), 60, dtype=np.uint8)
        changed = (outlined(frame, (slice(0, 20), slice(5, 30))) != frame).any(axis=2)
        assert changed[:, 5:7].all()
        assert not changed[:, :5].any()
        assert not changed[:, 7:].any()

    def test_no_outline_if_the_view_is_the_whole_frame(self, frame: NDArray[np.uint8]) -> None:
        assert np.array_equal(outlined(frame, (slice(0, 70), slice(0, 90))), frame)

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_a_tiny_view_keeps_the_line_inside(self, size: int) -> None:
        frame = np.full((1800, 90, 3), 60, dtype=np.uint8)  # lines of 5 pixels
        view = (slice(30, 30 + size), slice(40, 40 + size))
        result = outlined(frame, view)
        assert not np.array_equal(result, frame)
        result[view] = frame[view]
        assert np.array_equal(result, frame)

    def test_thickness_depends_on_the_frame(self) -> None:
        frame = np.full((1080, 40, 3), 60, dtype=np.uint8)
        result = outlined(frame, (slice(100, 1000), slice(0, 40)))
        assert np.flatnonzero(result[:540, 0, 0] != 60).tolist() == [*range(100, 106)]


class TestExplanationMap:
    @pytest.mark.parametrize("fill", FILLS)
    def test_full_heat_is_the_frame(self, frame: NDArray[np.uint8], fill: Fill) -> None:
        result = explanation_map(frame, heat_of(1.0), VIEW, fill=fill, mean_rgb=MEAN_RGB)
        assert np.array_equal(result[VIEW], frame[VIEW])

    @pytest.mark.parametrize("fill", FILLS)
    def test_zero_heat_is_the_fill(self, frame: NDArray[np.uint8], fill: Fill) -> None:
        """Inside the view the fill is computed from the view, outside it from the whole frame."""
        result = explanation_map(frame, heat_of(0.0), VIEW, fill=fill, mean_rgb=MEAN_RGB)
        view_frame = np.ascontiguousarray(frame[VIEW])
        inside = explanation_map(view_frame, heat_of(0.0), (slice(0, 50), slice(0, 60)), fill=fill, mean_rgb=MEAN_RGB)
        assert np.array_equal(result[VIEW], inside)
        zero_heat = np.zeros((70, 90), dtype=np.float32)
        full = explanation_map(frame, zero_heat, (slice(0, 70), slice(0, 90)), fill=fill, mean_rgb=MEAN_RGB)
        outside = np.ones((70, 90), dtype=bool)
        outside[VIEW] = False
        assert np.array_equal(result[outside], full[outside])

    def test_colours_of_the_fills(self, frame: NDArray[np.uint8]) -> None:
        def corner(fill: Fill) -> list[int]:
            result = explanation_map(frame, heat_of(0.0), VIEW, fill=fill, mean_rgb=MEAN_RGB)
            assert fill in {"blur", "frame-mean"} or np.all(result == result[0, 0])
            return [int(value) for value in result[0, 0]]

        assert corner("black") == [0, 0, 0]
        assert corner("mean") == [110, 101, 96]
        assert corner("frame-mean") == np.floor(frame.reshape(-1, 3).mean(axis=0) + 0.5).tolist()

    def test_blur_keeps_a_uniform_frame_and_smooths_an_edge(self) -> None:
        uniform = np.full((224, 300, 3), 77, dtype=np.uint8)
        zero_heat = np.zeros((224, 300), dtype=np.float32)
        view = (slice(0, 224), slice(0, 300))
        assert np.array_equal(explanation_map(uniform, zero_heat, view, fill="blur"), uniform)
        edge = np.zeros((224, 300, 3), dtype=np.uint8)
        edge[:, 150:] = 255
        row = explanation_map(edge, zero_heat, view, fill="blur")[112, :, 0] / 255.0
        # an edge blurred by a Gaussian of sigma 10 is Phi(-0.95) = 0.171 at a pixel centre 9.5 pixels before it
        assert row[140] == pytest.approx(0.171, abs=0.015)
        assert row[159] == pytest.approx(1 - 0.171, abs=0.015)

    def test_values_are_rounded_not_truncated(self) -> None:
        frame = np.array([[[1, 3, 255]]], dtype=np.uint8)
        half = np.full((1, 1), 0.5, dtype=np.float32)
        view = (slice(0, 1), slice(0, 1))
        assert explanation_map(frame, half, view).tolist() == [[[1, 2, 128]]]
        assert explanation_map(frame, half, view, fill="mean", mean_rgb=(0.0, 2.0, 300.0)).tolist() == [[[1, 3, 255]]]

    @pytest.mark.parametrize("fill", FILLS)
    def test_inputs_are_not_modified(self, frame: NDArray[np.uint8], fill: Fill) -> None:
        before = frame.copy()
        result = explanation_map(frame, heat_of(0.3), VIEW, fill=fill, mean_rgb=MEAN_RGB)
        assert result is not frame
        assert np.array_equal(frame, before)


class TestOverlayOfFrames:
    def test_equals_blending_of_each_frame_with_the_upsampled_heat(self) -> None:
        rng = np.random.default_rng(2)
        frames = rng.integers(0, 256, (4, 20, 30, 3), dtype=np.uint8)
        heat = rng.random((2, 5, 6)).astype(np.float32)
        drawn = overlay(frames, heat, colormap="viridis", opacity=0.5)
        blend = Overlay(colour_table("viridis"), opacity=0.5).blend
        view = (slice(0, 20), slice(0, 30))
        planes = upsample_volume(heat, (4, 20, 30))
        expected = [blend(frame, plane, view) for frame, plane in zip(frames, planes, strict=True)]
        np.testing.assert_array_equal(drawn, np.stack(expected))

    def test_frames_of_floats_and_a_single_frame(self) -> None:
        frames = np.random.default_rng(3).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
        heat = np.ones((2, 8, 8))
        np.testing.assert_array_equal(overlay(frames / 255.0, heat), overlay(frames, heat))
        np.testing.assert_array_equal(overlay(frames[0], heat[0]), overlay(frames, heat)[0])

    @pytest.mark.parametrize(
        ("frames", "heat", "message"),
        [
            (np.zeros((3, 2, 8, 8), np.uint8), np.zeros((2, 8, 8)), r"frames must be \(T, H, W, 3\)"),
            (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((8, 8)), r"heat \(t, h, w\)"),
            (np.zeros((2, 8, 0, 3)), np.zeros((2, 8, 8)), r"got \(2, 8, 0, 3\)"),
            (np.zeros((2, 8, 8, 3)), np.zeros((0, 8, 8)), r"and \(0, 8, 8\)"),
            (np.full((2, 8, 8, 3), 255.0), np.zeros((2, 8, 8)), r"in \[0, 1\]"),
            (np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8), 2.0), r"heat must be in \[0, 1\]"),
        ],
    )
    def test_wrong_shapes_and_ranges_are_refused(
        self, frames: NDArray[Any], heat: NDArray[np.float64], message: str
    ) -> None:
        with pytest.raises(ShapeError, match=message):
            overlay(frames, heat)
