from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as vision
from torchvision.transforms import v2 as vision_v2

from tests.helpers.clips import model_input
from tests.helpers.geometry import to_source
from vidcam.errors import InputError, ShapeError
from vidcam.fill import FILLS, Fill
from vidcam.geometry import Geometry
from vidcam.preprocess import (
    crop_frames,
    fill_for,
    grey_input,
    mean_rgb,
    mirror_frames,
    reorder_frames,
    scale_pixels,
    to_pixels,
)
from vidcam.spec import MeanCube, ModelSpec, Scaling

KINETICS = Scaling((110.2, 100.64, 96.0), (58.15, 56.47, 55.34))
BGR = Scaling((90.25, 97.66, 101.41), (1.0, 2.0, 4.0), "bgr")
CUBE_VALUES = np.random.default_rng(3).uniform(70, 130, (3, 4, 24, 30)).astype(np.float32)
CUBE = Scaling(MeanCube(CUBE_VALUES), (1.0, 2.0, 4.0), "bgr")
PLAIN = Scaling((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def spec(
    resize: tuple[int, int] | int, crop: tuple[int, int], scaling: Scaling = KINETICS, *, antialias: bool = False
) -> ModelSpec:
    return ModelSpec("x", 4, None, resize, crop, scaling, 10, None, antialias)


def to_model_frames(frames: NDArray[np.uint8], model: ModelSpec, geometry: Geometry) -> Tensor:
    """Preprocess each frame as its own clip, (n, 3, H, W)."""
    return scale_pixels(crop_frames(frames, model, geometry).unsqueeze(2), model.scaling).squeeze(2)


def noise(count: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("source", [(90, 160), (160, 90), (61, 47), (30, 40)])
@pytest.mark.parametrize("resize", [(43, 57), 38], ids=["stretch", "short side"])
@pytest.mark.parametrize("scaling", [KINETICS, BGR], ids=["rgb", "bgr"])
@pytest.mark.parametrize("antialias", [False, True])
def test_preprocessing_equals_torchvision(
    source: tuple[int, int], resize: tuple[int, int] | int, scaling: Scaling, antialias: bool
) -> None:
    model = spec(resize, (37, 36), scaling, antialias=antialias)
    frames = noise(3, *source)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    size = [resize] if isinstance(resize, int) else list(resize)
    resized = vision.resize(pixels, size, vision.InterpolationMode.BILINEAR, antialias=antialias)
    cropped = vision.center_crop(resized, [37, 36])
    ordered = cropped[:, [2, 1, 0]] if scaling.channels == "bgr" else cropped
    assert not isinstance(scaling.mean, MeanCube)
    theirs = vision.normalize(ordered, list(scaling.mean), list(scaling.std))
    ours = to_model_frames(frames, model, model.geometry(source))
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("source", [(90, 160), (61, 47), (30, 40)])
def test_integer_resampling_equals_the_library(
    source: tuple[int, int], interpolation: Literal["bilinear", "bicubic"]
) -> None:
    frames, size = noise(2, *source), (43, 57)
    plain = replace(spec(size, size, antialias=True), interpolation=interpolation)
    kinds = {name: replace(plain, resampler=name) for name in ("torchvision", "pillow")}
    ours = {name: crop_frames(frames, model, model.geometry(source)) for name, model in kinds.items()}
    mode = vision_v2.InterpolationMode(interpolation)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    theirs = vision_v2.Resize(size, mode, antialias=True)(pixels)
    pictures = [vision_v2.Resize(size, mode)(Image.fromarray(frame)) for frame in frames]
    pillow = torch.from_numpy(np.stack([np.array(picture) for picture in pictures])).permute(0, 3, 1, 2)
    assert torch.equal(ours["torchvision"], theirs.float())
    assert torch.equal(ours["pillow"], pillow.float())
    floats = crop_frames(frames, plain, plain.geometry(source)).round()
    assert 0.05 < float((ours["torchvision"] != floats).float().mean()) < 0.5


def test_crop_takes_the_right_pixels() -> None:
    frames = np.zeros((1, 20, 25, 3), np.uint8)
    frames[0, :, :, 0], frames[0, :, :, 1], frames[0, :, :, 2] = np.arange(20)[:, None], np.arange(25)[None], 200
    model = spec((20, 25), (9, 12), PLAIN)
    geometry = model.geometry((20, 25))
    row, column, blue = to_model_frames(frames, model, geometry)[0]
    assert (geometry.top_px, geometry.left_px) == (6, 6)  # 5.5 and 6.5 both round to the even 6
    torch.testing.assert_close(row, torch.arange(6.0, 15)[:, None].expand(9, 12))
    torch.testing.assert_close(column, torch.arange(6.0, 18)[None].expand(9, 12))
    assert set(blue.flatten().tolist()) == {200}


def test_a_resized_ramp_keeps_its_position() -> None:
    """Each pixel holds its own centre position. After resize and crop each input pixel holds its source position."""
    frames = np.zeros((1, 100, 200, 3), np.uint8)
    frames[..., 0], frames[..., 1] = np.arange(100)[None, :, None], np.arange(200)[None, None, :]
    model = spec(75, (64, 48), PLAIN)
    geometry = model.geometry((100, 200))
    row, column, _ = to_model_frames(frames, model, geometry)[0]
    y = [to_source(geometry, i + 0.5, 0)[0] - 0.5 for i in range(64)]
    x = [to_source(geometry, 0, j + 0.5)[1] - 0.5 for j in range(48)]
    np.testing.assert_allclose(row[:, 0], y, atol=1e-4)
    np.testing.assert_allclose(column[0], x, atol=1e-4)


def test_a_clip_becomes_a_batch_of_one() -> None:
    frames = noise(4, 24, 30)
    model = spec((24, 30), (24, 30), PLAIN)
    tensor = model_input(frames, model)
    assert tensor.shape == (1, 3, 4, 24, 30)
    for t, channel in [(0, 0), (3, 1), (2, 2)]:
        np.testing.assert_array_equal(tensor[0, channel, t].numpy(), frames[t, :, :, channel])


def test_frames_are_not_changed_and_may_have_any_strides() -> None:
    frames = noise(2, 40, 50)
    before = frames.copy()
    model = spec(32, (28, 28))
    straight = to_model_frames(frames, model, model.geometry((40, 50)))
    np.testing.assert_array_equal(frames, before)
    mirrored = np.ascontiguousarray(frames[:, :, ::-1])[:, :, ::-1]
    assert torch.equal(to_model_frames(mirrored, model, model.geometry((40, 50))), straight)


def test_frames_may_be_read_only() -> None:
    frames = noise(1, 32, 32)
    frames.setflags(write=False)
    model = spec((32, 32), (28, 28))
    straight = to_model_frames(frames.copy(), model, model.geometry((32, 32)))
    assert torch.equal(to_model_frames(frames, model, model.geometry((32, 32))), straight)


@pytest.mark.parametrize("shape", [(40, 50, 3), (1, 50, 40, 3), (1, 3, 40, 50)])
def test_frames_must_have_the_size_of_the_geometry(shape: tuple[int, ...]) -> None:
    model = spec(32, (28, 28))
    with pytest.raises(ShapeError, match=r"frames must be \(n, H, W, 3\) of size \(40, 50\), got frames.shape = "):
        to_model_frames(np.zeros(shape, np.uint8), model, model.geometry((40, 50)))


def test_frames_must_have_three_channels() -> None:
    model = spec((40, 50), (28, 28))
    with pytest.raises(ShapeError, match="frames must be"):
        to_model_frames(np.zeros((1, 40, 50, 1), np.uint8), model, model.geometry((40, 50)))


def test_scaling_of_one_pixel() -> None:
    pixels = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1, 1)
    scaling = Scaling((1.0, 2.0, 3.0), (2.0, 4.0, 8.0))
    assert scale_pixels(pixels, scaling).flatten().tolist() == [4.5, 4.5, 3.375]
    bgr = Scaling((1.0, 2.0, 3.0), (2.0, 4.0, 8.0), "bgr")
    assert scale_pixels(pixels, bgr).flatten().tolist() == [14.5, 4.5, 0.875]  # 30, 20, 10


def test_mean_colour_is_rgb_also_for_bgr_models() -> None:
    assert mean_rgb(KINETICS) == (110.2, 100.64, 96.0)
    assert mean_rgb(BGR) == (101.41, 97.66, 90.25)


@pytest.mark.parametrize("scaling", [BGR, CUBE])
def test_scaling_can_be_undone(scaling: Scaling) -> None:
    pixels = torch.from_numpy(noise(4, 24, 30)).permute(3, 0, 1, 2).float()[None]
    torch.testing.assert_close(to_pixels(scale_pixels(pixels, scaling), scaling), pixels, rtol=0, atol=1e-4)


def test_grey_clip() -> None:
    model = spec(8, (6, 7), BGR)
    grey = grey_input(model)
    assert grey.shape == (1, 3, 4, 6, 7)
    for channel, value in enumerate([37.25, (127.5 - 97.66) / 2, (127.5 - 101.41) / 4]):
        np.testing.assert_allclose(grey[0, channel], value, rtol=1e-6)
    i3d = dataclasses.replace(model, scaling=Scaling((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)))
    assert grey_input(i3d).abs().max() == 0


def gaussian(sigma: float, radius: int) -> NDArray[np.float64]:
    bell = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(-radius, radius + 1)]
    return np.array(bell) / math.fsum(bell)


def blurred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve directly in 2-D: repeated edges, sigma 10/224 of the shorter side, cut at 3 sigma."""
    sigma = 10 / 224 * min(plane.shape)
    radius = max(1, round(3 * sigma))
    bell = gaussian(sigma, radius)
    padded = np.pad(plane, radius, mode="edge")
    result = np.zeros_like(plane)
    for i in range(2 * radius + 1):
        for j in range(2 * radius + 1):
            result += bell[i] * bell[j] * padded[i : i + plane.shape[0], j : j + plane.shape[1]]
    return result


def fill_in_pixels(pixels: NDArray[np.float64], fill: Fill, scaling: Scaling) -> NDArray[np.float64]:
    """Return the fill of (T, H, W, 3) RGB frames, in pixel values."""
    if fill == "black":
        return np.zeros_like(pixels)
    if fill == "mean":
        return np.broadcast_to(np.array(mean_rgb(scaling)), pixels.shape)
    if fill == "frame-mean":
        return np.broadcast_to(pixels.mean(axis=(1, 2), keepdims=True), pixels.shape)
    return np.stack([np.stack([blurred(frame[..., c]) for c in range(3)], axis=-1) for frame in pixels])


def scaled(pixels: NDArray[np.float64], scaling: Scaling) -> NDArray[np.float64]:
    ordered = pixels[..., ::-1] if scaling.channels == "bgr" else pixels
    mean = np.moveaxis(CUBE_VALUES, 0, -1) if scaling is CUBE else np.array(scaling.mean)
    return np.moveaxis((ordered - mean) / np.array(scaling.std), -1, 0)  # (3, T, H, W)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("scaling", [KINETICS, BGR, CUBE], ids=["rgb", "bgr", "cube"])
def test_hiding_model_values_equals_hiding_pixels(fill: Fill, scaling: Scaling) -> None:
    frames = noise(4, 24, 30)
    model = spec((24, 30), (24, 30), scaling)
    tensor = model_input(frames, model)
    heat = np.random.default_rng(8).random((4, 24, 30))
    pixels = frames.astype(np.float64)
    keep = heat[..., None]
    expected = scaled(keep * pixels + (1 - keep) * fill_in_pixels(pixels, fill, scaling), scaling)
    hidden = torch.lerp(fill_for(tensor, fill, scaling), tensor, torch.from_numpy(heat)[None, None].float())
    np.testing.assert_allclose(hidden[0].numpy(), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("fill", FILLS)
def test_a_full_map_hides_nothing_and_an_empty_one_everything(fill: Fill) -> None:
    tensor = torch.randn(2, 3, 4, 12, 10, generator=torch.Generator().manual_seed(1))
    before = tensor.clone()
    stuff = fill_for(tensor, fill, KINETICS)
    assert torch.equal(torch.lerp(stuff, tensor, torch.ones(2, 1, 4, 12, 10)), tensor)
    assert torch.equal(torch.lerp(stuff, tensor, torch.zeros(2, 1, 4, 12, 10)), stuff.expand_as(tensor))
    assert torch.equal(tensor, before)


def test_black_is_pixel_0_also_with_a_mean_cube() -> None:
    frames = noise(4, 24, 30)
    frames[:, 5:9, 7:20] = 0
    tensor = model_input(frames, spec((24, 30), (24, 30), CUBE))
    black = fill_for(tensor, "black", CUBE)
    assert black.shape == (1, 3, 4, 24, 30)
    assert torch.equal(black[..., 5:9, 7:20], tensor[..., 5:9, 7:20])
    pixels = black[0].numpy() * np.array([1.0, 2.0, 4.0])[:, None, None, None] + CUBE_VALUES
    np.testing.assert_allclose(pixels, 0, atol=1e-5)


@pytest.mark.parametrize("fill", FILLS)
def test_fills_with_a_mean_cube_are_per_clip(fill: Fill) -> None:
    clips = [model_input(f, spec((24, 30), (24, 30), CUBE)) for f in (noise(4, 24, 30), noise(4, 24, 30)[:, ::-1])]
    both = fill_for(torch.cat(clips), fill, CUBE).expand(2, -1, -1, -1, -1)
    for index, clip in enumerate(clips):
        torch.testing.assert_close(both[index], fill_for(clip, fill, CUBE)[0], rtol=0, atol=1e-5)


def test_a_constant_mean_cube_equals_three_means() -> None:
    flat = np.broadcast_to(np.array([90.25, 97.66, 101.41]).reshape(3, 1, 1, 1), (3, 4, 24, 30))
    as_cube = dataclasses.replace(BGR, mean=MeanCube(flat.astype(np.float32)))
    pixels = torch.from_numpy(noise(4, 24, 30)).permute(3, 0, 1, 2).float()[None]
    tensor = scale_pixels(pixels, BGR)
    torch.testing.assert_close(scale_pixels(pixels, as_cube), tensor)
    np.testing.assert_allclose(mean_rgb(as_cube), mean_rgb(BGR), rtol=1e-6)
    for fill in FILLS:
        theirs, ours = fill_for(tensor, fill, BGR).expand_as(tensor), fill_for(tensor, fill, as_cube)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_a_mean_cube_needs_whole_clips() -> None:
    with pytest.raises(ShapeError, match=r"mean cube must have the clip's shape, got \(3, 4, 24, 30\), pixels.shape"):
        scale_pixels(torch.zeros(1, 3, 1, 24, 30), CUBE)


def test_grey_clip_and_mean_colour_of_a_mean_cube() -> None:
    grey = grey_input(spec((24, 30), (24, 30), CUBE))[0].numpy()
    np.testing.assert_allclose(grey, (127.5 - CUBE_VALUES) / np.array([1, 2, 4])[:, None, None, None], atol=1e-5)
    np.testing.assert_allclose(mean_rgb(CUBE), CUBE_VALUES.mean(axis=(1, 2, 3), dtype=np.float64)[::-1])


def test_black_and_mean_fills() -> None:
    tensor = torch.zeros(1, 3, 1, 2, 2)
    np.testing.assert_allclose(fill_for(tensor, "black", BGR).flatten(), [-90.25, -97.66 / 2, -101.41 / 4], rtol=1e-6)
    np.testing.assert_allclose(fill_for(tensor, "mean", BGR).flatten(), [0, 0, 0], atol=1e-5)


def test_frame_mean_is_per_frame() -> None:
    tensor = torch.arange(3.0).view(1, 1, 3, 1, 1) * torch.tensor([1.0, 10, 100]).view(1, 3, 1, 1, 1)
    assert torch.equal(fill_for(tensor.expand(1, 3, 3, 5, 4), "frame-mean", PLAIN), tensor)


@pytest.mark.parametrize("size", [(24, 24), (8, 8), (31, 50), (3, 2)])
def test_blur_equals_a_direct_convolution(size: tuple[int, int]) -> None:
    tensor = torch.randn(1, 3, 2, *size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    ours = fill_for(tensor, "blur", PLAIN)
    assert ours.shape == tensor.shape
    assert ours.dtype == torch.float64
    expected = [[blurred(plane.numpy()) for plane in channel] for channel in tensor[0]]
    np.testing.assert_allclose(ours[0].numpy(), np.array(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [-2.5, 0.0, 300.0])
def test_blur_keeps_a_flat_frame(value: float) -> None:
    flat: Tensor = torch.full((1, 3, 2, 40, 33), value)
    torch.testing.assert_close(fill_for(flat, "blur", KINETICS), flat)


def test_unknown_fill() -> None:
    with pytest.raises(InputError, match="fill is 'white', expected one of black, mean, blur, frame-mean"):
        fill_for(torch.zeros(1, 3, 1, 2, 2), "white", PLAIN)  # type: ignore[arg-type]


def test_a_mean_cube_stays_when_frames_are_reordered() -> None:
    """Pixels move, the subtracted cube does not: the result equals that of a reordered video."""
    generator = np.random.default_rng(0)
    cube = MeanCube(generator.uniform(0, 255, (3, 4, 6, 5)).astype(np.float32))
    pixels = torch.from_numpy(generator.uniform(0, 255, (2, 3, 4, 6, 5)).astype(np.float32))
    slots = torch.tensor([2, 0, 0, 3])
    for mean in (cube, (100.0, 90.0, 80.0)):
        scaling = Scaling(mean=mean, std=(50.0, 60.0, 70.0), channels="bgr")
        moved = reorder_frames(scale_pixels(pixels, scaling), slots, scaling)
        torch.testing.assert_close(moved, scale_pixels(pixels[:, :, slots], scaling))
        mirrored = mirror_frames(scale_pixels(pixels, scaling), scaling)
        torch.testing.assert_close(mirrored, scale_pixels(pixels.flip(-1), scaling))
