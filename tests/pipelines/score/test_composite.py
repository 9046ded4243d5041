from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.grids import ChannelNet, channel_model
from tests.helpers.nets import random_clip
from vidcam.axes import Axes
from vidcam.errors import ShapeError
from vidcam.models.model import Model
from vidcam.pipelines.score.composite import compose
from vidcam.preprocess import scale_pixels, to_pixels
from vidcam.spec import MeanCube, Scaling

NCTHW = Axes("NCTHW")
FIRST, SECOND = random_clip(1, 3, 4, 16, 16, seed=1), random_clip(1, 3, 4, 16, 16, seed=2)


def test_at_double_size_the_clips_are_unchanged() -> None:
    beside = compose(ChannelNet(), NCTHW, FIRST, SECOND, "space", is_shrunk=False)
    after = compose(ChannelNet(), NCTHW, FIRST, SECOND, "time", is_shrunk=False)
    assert torch.equal(beside.clip[..., :16], FIRST)
    assert torch.equal(beside.clip[..., 16:], SECOND)
    assert torch.equal(after.clip[:, :, :4], FIRST)
    assert torch.equal(after.clip[:, :, 4:], SECOND)


def test_shrunk_columns_are_means_of_two_and_shrunk_frames_every_second() -> None:
    beside = compose(ChannelNet(), NCTHW, FIRST, SECOND, "space", is_shrunk=True)
    after = compose(ChannelNet(), NCTHW, FIRST, SECOND, "time", is_shrunk=True)
    assert beside.clip.shape == after.clip.shape == FIRST.shape
    torch.testing.assert_close(beside.clip[..., 8:], (SECOND[..., ::2] + SECOND[..., 1::2]) / 2)
    torch.testing.assert_close(beside.clip[..., :8], (FIRST[..., ::2] + FIRST[..., 1::2]) / 2)
    assert torch.equal(after.clip[:, :, :2], FIRST[:, :, ::2])
    assert torch.equal(after.clip[:, :, 2:], SECOND[:, :, ::2])


@pytest.mark.parametrize("where", ["space", "time"])
def test_an_odd_size_is_kept(where: str) -> None:
    first, second = random_clip(1, 3, 5, 8, 7, seed=1), random_clip(1, 3, 5, 8, 7, seed=2)
    composite = compose(ChannelNet(), NCTHW, first, second, where, is_shrunk=True)  # type: ignore[arg-type]
    assert composite.clip.shape == first.shape


def test_the_spec_of_a_model_has_the_size_of_the_composite() -> None:
    model = channel_model()
    for where, is_shrunk, size in (("space", False, (4, 16, 32)), ("time", False, (8, 16, 16)), ("time", True, None)):
        composite = compose(model, NCTHW, FIRST, SECOND, where, is_shrunk=is_shrunk)  # type: ignore[arg-type]
        assert isinstance(composite.model, Model)
        assert composite.model.spec.input_size == (size or model.spec.input_size) == tuple(composite.clip.shape[2:])


def test_the_axes_are_those_of_the_network() -> None:
    model = replace(channel_model(), spec=replace(channel_model().spec, axes="NTCHW"))
    composite = compose(model, NCTHW, FIRST, SECOND, "time", is_shrunk=False)
    assert composite.clip.shape == (1, 8, 3, 16, 16)
    assert torch.equal(composite.clip[:, 4:], SECOND.transpose(1, 2))


def test_a_mean_cube_stays_with_its_pixels_and_has_no_double_size() -> None:
    cube = MeanCube(np.random.default_rng(0).random((3, 4, 16, 16)).astype(np.float32) * 255)
    scaling = Scaling(mean=cube, std=(2.0, 2.0, 2.0))
    model = replace(channel_model(), spec=replace(channel_model().spec, scaling=scaling))
    generator = torch.Generator().manual_seed(0)
    pixels = [torch.rand(1, 3, 4, 16, 16, generator=generator) * 255 for _ in range(2)]
    first, second = (scale_pixels(each, scaling) for each in pixels)
    composite = compose(model, NCTHW, first, second, "time", is_shrunk=True)
    expected = torch.cat([each[:, :, ::2] for each in pixels], dim=2)
    torch.testing.assert_close(to_pixels(composite.clip, scaling), expected)
    torch.testing.assert_close(torch.from_numpy(composite.pixels()), expected[0].permute(1, 2, 3, 0))
    with pytest.raises(ShapeError, match="mean cube"):
        compose(model, NCTHW, first, second, "space", is_shrunk=False)


def test_pixels_of_a_model_are_before_its_scaling() -> None:
    composite = compose(channel_model(), NCTHW, FIRST, SECOND, "space", is_shrunk=False)
    np.testing.assert_allclose(composite.pixels()[1, 2, 20], 255 * SECOND[0, :, 1, 2, 4], rtol=1e-5)
