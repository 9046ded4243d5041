from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from vidcam.errors import ShapeError
from vidcam.geometry import Geometry
from vidcam.spec import ModelSpec, Scaling

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


def test_a_pair_stretches() -> None:
    assert C3D.geometry((480, 640)) == Geometry((480, 640), (128, 171), (112, 112), 8, 30)
    assert C3D.geometry((640, 480)).resized_size == (128, 171)


def test_a_number_is_the_shorter_side() -> None:
    assert I3D.geometry((256, 340)) == Geometry((256, 340), (256, 340), (224, 224), 16, 58)
    assert I3D.geometry((340, 256)) == Geometry((340, 256), (340, 256), (224, 224), 58, 16)
    assert I3D.geometry((100, 200)).resized_size == (256, 512)


def test_any_film_is_wide_enough_for_the_crop() -> None:
    for source in [(1, 1), (2, 4000), (4000, 2), (2, 3), (255, 257)]:
        geometry = I3D.geometry(source)
        assert min(geometry.resized_size) == 256
        rows, columns = geometry.view_slices()
        assert rows.stop > rows.start
        assert columns.stop > columns.start


@pytest.mark.parametrize("name", ["frames", "classes"])
def test_needs_frames_and_classes(name: str) -> None:
    with pytest.raises(ShapeError, match=f"a model needs frames, classes and fps above 0, got .*self.{name} = 0"):
        dataclasses.replace(C3D, **{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(-25)])
def test_needs_a_positive_rate_or_none(fps: Fraction) -> None:
    with pytest.raises(ShapeError, match=r"fps above 0, got .*self\.fps = Fraction"):
        dataclasses.replace(C3D, fps=fps)
    assert dataclasses.replace(C3D, fps=None).fps is None
