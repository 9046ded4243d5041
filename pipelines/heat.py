"""The heat of raw maps on the device of the model: maps are not copied to the CPU and back to hide pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vidcam.devices import to_device
from vidcam.maps import ROUNDING, Floats, normalise_per_clip, upsample_volume


def heat_on(volumes: Floats, size: tuple[int, ...], like: Tensor) -> Tensor:
    """Return the heat of clips, as `Explanation.heat`, on the device and in the dtype of a tensor.

    On a CPU these are the very numbers of `vidcam.maps`, elsewhere equal up to rounding.

    Args:
        volumes: (N, t, h, w) raw maps.
        size: (T, H, W).
        like: the model's input.

    Returns:
        (N, T, H, W) in [0, 1].
    """
    if like.device.type == "cpu":
        return torch.from_numpy(normalise_per_clip(upsample_volume(volumes, size))).to(like.dtype)
    return normalised_heat(to_device(torch.from_numpy(volumes), like.device), size).to(like.dtype)


def normalised_heat(volumes: Tensor, size: tuple[int, ...]) -> Tensor:
    """Upsample and normalise each clip with torch; see `maps.upsample_volume` and `maps.normalise`."""
    lost = 3 - len(size)  # maps of images have no time
    stack = volumes.reshape(len(volumes), 1, *([1] * lost), *volumes.shape[1:])
    heat = functional.interpolate(stack, size=([1] * lost) + [*size], mode="trilinear", align_corners=False)
    flat = heat.flatten(1)
    low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    scaled = ((flat - low) / (high - low)).clamp(0.0, 1.0)
    scaled = torch.where(high - low <= ROUNDING * high, torch.ones_like(flat), scaled)
    return torch.where(high <= 0.0, torch.zeros_like(flat), scaled).reshape(len(volumes), *size)
