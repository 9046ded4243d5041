from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.geometry import Geometry
from vidcam.spec import MeanCube, ModelSpec, Scaling, TokenGrid

C3D = ModelSpec(
    name="c3d",
    frames=16,
    fps=None,
    resize=(128, 171),
    crop_size=(112, 112),
    scaling=Scaling((90.25, 97.66, 101.41), (1.0, 1.0, 1.0), "bgr"),
    classes=487,
    layer="relu5b",
)
I3D = dataclasses.replace(C3D, name="i3d", fps=Fraction(25, 2), resize=256, crop_size=(224, 224))


def test_input_size_is_frames_and_crop() -> None:
    assert C3D.input_size == (16, 112, 112)
    assert dataclasses.replace(C3D, frames=8, crop_size=(90, 100)).input_size == (8, 90, 100)


def test_the_layer_may_be_left_out() -> None:
    spec = ModelSpec("own", 16, None, 64, (64, 64), Scaling((0, 0, 0), (1, 1, 1)), 3)
    assert spec.layer is None


def test_a_resize_of_two_numbers_is_height_and_width() -> None:
    assert C3D.geometry((480, 640)) == Geometry((480, 640), (128, 171), (112, 112), 8, 30)
    assert C3D.geometry((640, 480)).resized_size == (128, 171)


def test_a_resize_of_one_number_is_the_shorter_side() -> None:
    assert I3D.geometry((256, 340)) == Geometry((256, 340), (256, 340), (224, 224), 16, 58)
    assert I3D.geometry((340, 256)) == Geometry((340, 256), (340, 256), (224, 224), 58, 16)
    assert I3D.geometry((100, 200)).resized_size == (256, 512)


def test_any_video_is_wide_enough_for_the_crop() -> None:
    for source in [(1, 1), (2, 4000), (4000, 2), (2, 3), (255, 257)]:
        geometry = I3D.geometry(source)
        assert min(geometry.resized_size) == 256
        rows, columns = geometry.view_slices()
        assert rows.stop > rows.start
        assert columns.stop > columns.start


@pytest.mark.parametrize("name", ["frames", "classes"])
def test_needs_frames_and_classes(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"a model needs frames, classes and fps > 0, got .*{name} 0\b"):
        dataclasses.replace(C3D, **{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(-25)])
def test_needs_a_positive_rate_or_none(fps: Fraction) -> None:
    with pytest.raises(ShapeError, match=r"fps > 0, got .*, fps (0|-25)$"):
        dataclasses.replace(C3D, fps=fps)
    assert dataclasses.replace(C3D, fps=None).fps is None


def ramp(*shape: int) -> NDArray[np.float32]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_mean_cubes_are_read_only_and_compare_by_value() -> None:
    source = ramp(3, 2, 4, 5)
    cube = MeanCube(source)
    assert cube == MeanCube(source.astype(np.float64))
    assert len({cube, MeanCube(source), MeanCube(source[:, ::-1])}) == 2
    assert cube != MeanCube(source[:, ::-1])
    assert cube != source.tobytes()
    assert repr(cube) == "MeanCube(3, 2, 4, 5)"
    source[:] = 0
    assert cube.values[0, 0, 0, 1] == 1
    with pytest.raises(ValueError, match="read-only"):
        cube.values[:] = 0
    scaling = Scaling(cube, (1.0, 1.0, 1.0), "bgr")
    assert scaling == Scaling(MeanCube(ramp(3, 2, 4, 5)), (1.0, 1.0, 1.0), "bgr")
    assert scaling != dataclasses.replace(scaling, mean=(1.0, 2.0, 3.0))


@pytest.mark.parametrize("shape", [(3, 2, 4), (1, 2, 4, 5), (3, 0, 4, 5), (1, 3, 2, 4, 5)])
def test_a_mean_cube_has_four_axes_and_three_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"a mean cube must be \(3, T, H, W\) and finite, got values.shape = "):
        MeanCube(np.zeros(shape, np.float32))


def test_a_mean_cube_is_finite() -> None:
    with pytest.raises(ShapeError, match="and finite"):
        MeanCube(np.full((3, 1, 1, 1), np.nan, np.float32))


def test_a_mean_cube_must_have_the_models_input_size() -> None:
    whole = Scaling(MeanCube(ramp(3, 16, 128, 171)), (1.0, 1.0, 1.0), "bgr")
    with pytest.raises(ShapeError, match=r"of 'c3d' must be \(T, H, W\) = \(16, 112, 112\), .* got \(16, 128, 171\)"):
        dataclasses.replace(C3D, scaling=whole)
    cropped = Scaling(MeanCube(ramp(3, 16, 112, 112)), (1.0, 1.0, 1.0), "bgr")
    assert dataclasses.replace(C3D, scaling=cropped).scaling is cropped


@pytest.mark.parametrize(
    ("layout", "steps"),
    [
        (None, ()),
        ("frames", ("frames",)),
        ("channels-last", ("channels-last",)),
        (TokenGrid((8, 7, 7)), (TokenGrid((8, 7, 7), class_tokens=1),)),
        ((TokenGrid((14, 14)), "frames"), (TokenGrid((14, 14)), "frames")),
    ],
)
def test_a_layout_has_no_one_or_several_steps(layout: Any, steps: object) -> None:
    assert dataclasses.replace(C3D, layout=layout).layouts == steps


@pytest.mark.parametrize("wrong", [{"layout": "chanels-last"}, {"layout": ("frames", 3)}, {"activation": "relu"}])
def test_unknown_layouts_and_activations(wrong: dict[str, Any]) -> None:
    with pytest.raises(
        ShapeError, match="layout must be a TokenGrid, 'channels-last', 'frames' or several of them, act"
    ):
        dataclasses.replace(C3D, **wrong)


@pytest.mark.parametrize(
    "wrong", [{"grid": ()}, {"grid": (8, 0, 7)}, {"grid": (1, 2, 3, 4)}, {"grid": (8, 7, 7), "class_tokens": -1}]
)
def test_a_token_grid_needs_cells(wrong: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match=r"a TokenGrid needs 1 to 3 sides >= 1 and class_tokens >= 0, got "):
        TokenGrid(**wrong)


@pytest.mark.parametrize("wrong", [{"order": "tw"}, {"order": "thx"}, {"order": "THW"}, {"axes": "NDL"}])
def test_a_token_grid_needs_a_known_order_and_axes(wrong: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match=r"expected 'thw', 'hwt' or another|expected 'NLD' or 'LND'"):
        TokenGrid((8, 7, 7), **wrong)


@pytest.mark.parametrize(
    ("grid", "order", "permutation"),
    [
        ((8, 7, 6), "thw", (0, 1, 2)),
        ((8, 7, 6), "hwt", (1, 2, 0)),
        ((7, 6), "thw", (0, 1)),
        ((7, 6), "wh", (1, 0)),
        ((7, 6), "wth", (1, 0)),
    ],
)
def test_the_order_of_a_token_grid(grid: tuple[int, ...], order: str, permutation: tuple[int, ...]) -> None:
    assert TokenGrid(grid, order=order).permutation == permutation


@pytest.mark.parametrize(
    ("source", "size"), [((1080, 1920), (224, 398)), ((1920, 1080), (398, 224)), ((300, 300), (224, 224))]
)
def test_the_spec_for_whole_frames_crops_nothing(source: tuple[int, int], size: tuple[int, int]) -> None:
    assert not I3D.sees_whole(source)
    whole = I3D.for_whole_frame(source)
    assert whole.sees_whole(source)
    assert whole.geometry(source) == Geometry(source, size, size, 0, 0)
    assert whole == dataclasses.replace(I3D, resize=size, crop_size=size)


def test_a_stretched_video_has_its_own_aspect_in_whole_frames() -> None:
    assert C3D.for_whole_frame((480, 640)).input_size == (16, 112, 149)
    assert C3D.for_whole_frame((480, 1280)).input_size == (16, 112, 298)


def test_a_spec_that_crops_nothing_sees_whole_frames() -> None:
    assert dataclasses.replace(I3D, resize=224).sees_whole((300, 300))
    assert not dataclasses.replace(I3D, resize=224).sees_whole((300, 301 * 2))
    assert dataclasses.replace(I3D, resize=(224, 224)).sees_whole((300, 900))


def test_a_mean_cube_has_one_size() -> None:
    scaling = Scaling(MeanCube(np.zeros((3, 16, 112, 112), np.float32)), (1.0, 1.0, 1.0))
    with pytest.raises(ShapeError, match="the mean cube of 'c3d'"):
        dataclasses.replace(C3D, scaling=scaling).for_whole_frame((480, 640))
