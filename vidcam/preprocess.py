"""Turn pixels into model input, and make fills for hidden pixels.

Resize, crop and scaling follow the `ModelSpec`; `Geometry` keeps where the pixels came from. Hiding is defined on
pixels (GC++ eq. 25: E = L∘I). Every model's scaling is affine, s(x) = ax + b, with a and b for each channel, or for
each value if a mean cube is subtracted. So s(L·I + (1-L)·f) = L·s(I) + (1-L)·s(f): the mask on the model's input equals
the mask on pixels, if the fill f is scaled at its own position.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vidcam.devices import to_device
from vidcam.errors import InputError, ShapeError
from vidcam.fill import BLUR_SHARE, FILLS, Fill
from vidcam.geometry import Geometry
from vidcam.spec import MeanCube, ModelSpec, Scaling

_CPU = torch.device("cpu")


def crop_frames(
    frames: NDArray[np.uint8], spec: ModelSpec, geometry: Geometry, *, device: torch.device = _CPU
) -> Tensor:
    """Resize and crop frames; the result is still in pixels.

    Args:
        frames: (n, H, W, 3) uint8 RGB at `geometry.source_size`.
        spec: resize settings of the model.
        geometry: `spec.geometry` of the frames' size.
        device: where the frames are resized.

    Returns:
        (n, 3, H, W) float32 on the device, RGB in 0…255.
    """
    if frames.ndim != 4 or frames.shape[1:] != (*geometry.source_size, 3):
        raise ShapeError(f"frames must be (n, H, W, 3) of size {geometry.source_size}, got {frames.shape = }")
    is_resized = geometry.resized_size != geometry.source_size
    if is_resized and spec.resampler != "float":
        frames = _resized_as_integers(frames, spec, geometry.resized_size)
    pixels = to_device(torch.from_numpy(np.require(frames, requirements=["C", "W"])), device)
    pixels = pixels.permute(0, 3, 1, 2).float()
    if is_resized and spec.resampler == "float":
        pixels = functional.interpolate(
            pixels, size=geometry.resized_size, mode=spec.interpolation, align_corners=False, antialias=spec.antialias
        )
        if spec.interpolation == "bicubic":  # overshoots
            pixels = pixels.clamp_(0.0, 255.0)
        if spec.rounded:
            pixels = pixels.round_()
    bottom, right = geometry.top_px + geometry.crop_size[0], geometry.left_px + geometry.crop_size[1]
    return pixels[:, :, geometry.top_px : bottom, geometry.left_px : right].contiguous()


def _resized_as_integers(frames: NDArray[np.uint8], spec: ModelSpec, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize frames (n, H, W, 3) uint8 with the integer arithmetic of a library, on the CPU.

    It differs from float32 by one grey level in many pixels, and by more where bicubic overshoots.
    """
    if spec.resampler == "pillow":
        from PIL import Image

        filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
        pictures = (Image.fromarray(frame) for frame in frames)
        return np.stack([np.asarray(picture.resize(size[::-1], filters[spec.interpolation])) for picture in pictures])
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import resize_image

    pixels = torch.from_numpy(np.require(frames, requirements=["C", "W"])).permute(0, 3, 1, 2)
    mode = InterpolationMode(spec.interpolation)
    resized: Tensor = resize_image(pixels, list(size), interpolation=mode, antialias=spec.antialias)
    return resized.permute(0, 2, 3, 1).numpy()


def scale_pixels(pixels: Tensor, scaling: Scaling) -> Tensor:
    """Scale RGB pixels 0…255 (N, 3, T, H, W), whole clips, to model values in the model's order of channels.

    Raises:
        ShapeError: a mean cube has another (T, H, W).
    """
    if isinstance(scaling.mean, MeanCube) and pixels.shape[1:] != scaling.mean.values.shape:
        raise ShapeError(f"mean cube must have the clip's shape, got {scaling.mean.values.shape}, {pixels.shape = }")
    return _scaled(pixels, scaling)


def _scaled(pixels: Tensor, scaling: Scaling) -> Tensor:
    """As `scale_pixels`, also for one colour (1, 3, 1, 1, 1); a mean cube turns it into a clip (1, 3, T, H, W)."""
    ordered = pixels.flip(1) if scaling.channels == "bgr" else pixels
    return (ordered - _mean_of(scaling, pixels)).div_(_per_channel(scaling.std, pixels))


def _mean_of(scaling: Scaling, like: Tensor) -> Tensor:
    """Return the mean, (1, 3, 1, 1, 1), or (1, 3, T, H, W) of a cube, with the dtype and device of `like`."""
    if isinstance(scaling.mean, MeanCube):
        return like.new_tensor(scaling.mean.values).unsqueeze(0)
    return _per_channel(scaling.mean, like)


def _per_channel(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return like.new_tensor(values).view(1, 3, 1, 1, 1)


def to_pixels(tensor: Tensor, scaling: Scaling) -> Tensor:
    """Undo `scale_pixels`: model values (N, 3, T, H, W) to RGB pixels, not rounded or clipped."""
    pixels = tensor * _per_channel(scaling.std, tensor) + _mean_of(scaling, tensor)
    return pixels.flip(1) if scaling.channels == "bgr" else pixels


def mean_rgb(scaling: Scaling) -> tuple[float, float, float]:
    """Return the dataset's mean colour, RGB in 0…255; of a mean cube, the mean over the cube."""
    mean = scaling.mean
    first, second, third = mean.values.mean((1, 2, 3), np.float64).tolist() if isinstance(mean, MeanCube) else mean
    return (third, second, first) if scaling.channels == "bgr" else (first, second, third)


def grey_input(spec: ModelSpec) -> Tensor:
    """Return a flat grey clip (127.5 in every channel) as the model takes it: its values, its axes, N = 1."""
    clip = scale_pixels(torch.full((1, 3, *spec.input_size), 127.5), spec.scaling)
    return spec.input_axes.restore(clip).contiguous()


def flat_inputs(spec: ModelSpec) -> Tensor:
    """Return eight flat clips of random colours, as the model takes them; like `grey_input`."""
    colours = 255.0 * torch.rand(8, 3, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    clips = scale_pixels(colours.expand(-1, -1, *spec.input_size), spec.scaling)
    return spec.input_axes.restore(clips).contiguous()


def fill_for(tensor: Tensor, fill: Fill, scaling: Scaling) -> Tensor:
    """Return the fill for hidden pixels, in model values.

    Args:
        tensor: (N, 3, T, H, W) model input.
        fill: `black`: pixel value 0; `mean`: the dataset's mean; `blur`: the blurred frame; `frame-mean`: each frame's
            mean.
        scaling: scaling of the model.

    Returns:
        A tensor that broadcasts against `tensor`; with a mean cube, one value per pixel.
    """
    if fill == "frame-mean":
        return _in_pixels(tensor, scaling, lambda clip: clip.mean(dim=(-2, -1), keepdim=True))
    if fill == "blur":
        return _in_pixels(tensor, scaling, _blur)
    if fill not in FILLS:
        raise InputError(f"fill is {fill!r}, expected one of {', '.join(FILLS)}")
    colour = (0.0, 0.0, 0.0) if fill == "black" else mean_rgb(scaling)
    return _scaled(_per_channel(colour, tensor), scaling)


def reorder_frames(tensor: Tensor, slots: Tensor, scaling: Scaling) -> Tensor:
    """Reorder frames in pixel space: frame slots[j] goes to slot j. A mean cube stays with its slots.

    Args:
        tensor: (N, 3, T, H, W) model input.
        slots: (T,) indices of frames.
        scaling: scaling of the model.
    """
    return _in_pixels(tensor, scaling, lambda clip: clip[:, :, slots])


def mirror_frames(tensor: Tensor, scaling: Scaling) -> Tensor:
    """Mirror clips (N, 3, T, H, W) along their width, in pixel space. A mean cube stays where it is."""
    return _in_pixels(tensor, scaling, lambda clip: clip.flip(-1))


def _in_pixels(tensor: Tensor, scaling: Scaling, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function that averages or moves pixels to model values; the result is the same as for pixels.

    Such a function commutes with a scaling that is the same for all pixels of a channel. With a mean cube, the
    difference of the means is added.
    """
    result = function(tensor)
    if not isinstance(scaling.mean, MeanCube):
        return result
    cube = _mean_of(scaling, tensor)
    return result + (function(cube) - cube) / _per_channel(scaling.std, tensor)


def _blur(tensor: Tensor) -> Tensor:
    sigma = BLUR_SHARE * min(tensor.shape[-2:])
    radius = max(1, int(3 * sigma + 0.5))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=tensor.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(tensor.dtype)
    planes = tensor.reshape(-1, 1, *tensor.shape[-2:])
    tall = functional.pad(planes, (0, 0, radius, radius), mode="replicate")
    wide = functional.pad(functional.conv2d(tall, kernel.view(1, 1, -1, 1)), (radius, radius, 0, 0), mode="replicate")
    return functional.conv2d(wide, kernel.view(1, 1, 1, -1)).reshape(tensor.shape)
