"""Fill hidden pixels from the visible ones around them, in space and time: noisy linear imputation, as in ROAD.

Each hidden pixel becomes the mean of its six neighbours (two in each of T, H, W), visible or filled: the discrete
Laplace equation with the visible pixels as boundary. So motion goes on and edges of the mask do not show. Then a little
noise is added, because a smooth patch would tell the network what was hidden (ROAD, arXiv:2202.00449, sec. 4).

A mask may be soft. With the visibility v of a pixel, its fill u solves (1 - v) · Σ_q (u - u_q) + v · (u - x) = 0 over
the neighbours q: the pixel's own value x where v = 1, the mean of the neighbours where v = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vidcam.errors import ShapeError

NOISE = 2.55
"""Standard deviation of the noise in pixel values of 0…255; ROAD's 0.01 of the range."""

TOLERANCE = 1e-3
"""Residual at which the solver stops, as a share of the first one from a flat start."""

MOST_STEPS = 100


def infill(pixels: Tensor, visible: Tensor, *, noise: float = NOISE, seed: int = 0) -> Tensor:
    """Return the fill of a clip's hidden pixels.

    Args:
        pixels: (3, T, H, W) in 0…255; any number of channels.
        visible: (T, H, W) in [0, 1]; 1 where a pixel is shown, 0 where it is hidden. Nothing visible: the clip's mean.
        noise: standard deviation of the noise on hidden pixels, in pixel values.
        seed: seed of the noise: the same for every mask of a clip.

    Returns:
        (3, T, H, W), equal to `pixels` where all is visible.

    Raises:
        ShapeError: sizes differ.
    """
    if pixels.ndim != 4 or visible.shape != pixels.shape[1:]:
        raise ShapeError(f"visible must be (T, H, W) of pixels (C, T, H, W), got {visible.shape = }, {pixels.shape = }")
    mask = visible.to(pixels)[None]
    filled = _solve(pixels, mask, _pulled(pixels, mask))
    generator = torch.Generator().manual_seed(seed)
    grain = torch.randn(pixels.shape, generator=generator).to(pixels)
    return filled + (1 - mask) * noise * grain


def _pulled(pixels: Tensor, mask: Tensor) -> Tensor:
    """Return a first guess: visible pixels are averaged on coarser and coarser grids, hidden ones read from those."""
    size = pixels.shape[1:]
    if max(size) == 1 or bool((mask == 1).all()):
        return pixels
    frames, rows, columns = size
    half = (frames + 1) // 2, (rows + 1) // 2, (columns + 1) // 2
    weight = functional.adaptive_avg_pool3d(mask[None], half)[0]
    mean = functional.adaptive_avg_pool3d((mask * pixels)[None], half)[0] / weight.clamp_min(1e-12)
    mean = torch.where(weight > 0, mean, pixels.mean(dim=(1, 2, 3), keepdim=True))
    coarse = _pulled(mean, (weight > 0).to(mask))
    fine = functional.interpolate(coarse[None], size=tuple(size), mode="trilinear", align_corners=False)[0]
    return mask * pixels + (1 - mask) * fine


def _solve(pixels: Tensor, mask: Tensor, guess: Tensor) -> Tensor:
    """Solve for the fill by conjugate gradients on the pixels that are not wholly visible.

    The equation of a pixel is divided by 1 - v, so that the matrix is symmetric: Σ_q (u - u_q) + (u - x)·v / (1 - v).
    """
    is_free = mask < 1
    pull = torch.where(is_free, mask / (1 - mask).clamp_min(1e-6), torch.zeros_like(mask))
    filled = torch.where(is_free, guess, pixels)

    def residual_of(values: Tensor, target: Tensor) -> Tensor:
        return torch.where(is_free, pull * (target - values) - _laplacian(values), torch.zeros_like(values))

    residual = residual_of(filled, pixels)
    flat = torch.where(is_free, pixels.mean(dim=(1, 2, 3), keepdim=True), pixels)
    goal = TOLERANCE * residual_of(flat, pixels).norm()
    direction, size = residual.clone(), residual.square().sum()
    for _ in range(MOST_STEPS):
        if size.sqrt() <= goal or size == 0:
            break
        applied = -residual_of(direction, torch.zeros_like(direction))
        step = size / (direction * applied).sum()
        filled = filled + step * direction
        residual = residual - step * applied
        size, former = residual.square().sum(), size
        direction = residual + (size / former) * direction
    return filled


def _laplacian(values: Tensor) -> Tensor:
    """Return Σ_q (u - u_q) over the neighbours of each pixel; beyond the border there are none."""
    total = torch.zeros_like(values)
    for axis in range(1, values.ndim):
        steps = values.diff(dim=axis)
        length = values.shape[axis] - 1
        total.narrow(axis, 0, length).sub_(steps)
        total.narrow(axis, 1, length).add_(steps)
    return total
