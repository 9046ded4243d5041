"""Settings of a processor as fields of a spec, from stand-ins; real ones are in test_hugging_face.py."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from vidcam.errors import InputError
from vidcam.models.families.hugging_face_input import input_settings

PROCESSOR: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 73},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": 64, "width": 60},
    "do_rescale": True,
    "rescale_factor": 1 / 127.5,
    "do_normalize": True,
    "image_mean": [0.5, 0.25, 0.0],
    "image_std": [0.5, 0.25, 1.0],
}


def read(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**input_settings(SimpleNamespace(**{**PROCESSOR, **changes}), "hf:x"))


def test_scaling_of_a_processor_in_pixels() -> None:
    found = read()
    assert (found.resize, found.crop_size, found.interpolation, found.resampler) == (73, (64, 60), "bilinear", "pillow")
    assert found.scaling.mean == pytest.approx((63.75, 31.875, 0.0))  # x / 127.5 = mean
    assert found.scaling.std == pytest.approx((63.75, 31.875, 127.5))
    offset = read(offset=True).scaling
    assert offset.mean == pytest.approx((191.25, 159.375, 127.5))  # x / 127.5 - 1 = mean
    plain = read(do_normalize=False, do_rescale=False).scaling
    assert (plain.mean, plain.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert read(do_flip_channel_order=True).scaling.channels == "bgr"
    exact = read(size={"height": 8, "width": 9}, do_center_crop=False, fps=12.5)
    assert (exact.resize, exact.crop_size, exact.fps) == ((8, 9), (8, 9), Fraction(25, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_center_crop": False}, "gives frames of different sizes"),
        ({"resample": 1}, "resamples with filter 1"),
        ({"do_resize": False}, "expected height and width, or shortest_edge"),
        ({"size": {"shortest_edge": 9, "longest_edge": 12}}, "resizes to .*longest_edge"),
    ],
)
def test_a_processor_that_a_spec_cannot_describe(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(**changes)
