"""Raw maps on the feature grid, before upsampling and normalising: (N, t, h, w), >= 0, in float32 at least.

`combine` weighs whole channels, relu(Σ_d w_d · A_d) (GC++ eq. 7); `hirescam` (arXiv:2011.08891) and `layercam`
(doi:10.1109/TIP.2021.3089943) weigh every cell by its own gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from vidcam.cam.weights import at_least_float32
from vidcam.errors import ShapeError

CHANNELS_AT_ONCE, PRODUCTS_AT_ONCE = 32, 1 << 18
"""Products of g and A are summed in slices of so many channels, or of as many as make so many products of one clip, if
those are more: einsum permutes, and with that copies, both of them, and small slices are more calls than sums."""


def combine(weights: Tensor, activations: Tensor) -> Tensor:
    """The raw class activation map, before upsampling and normalising.

    Args:
        weights: w, (N, D).
        activations: A, (N, D, t, h, w).

    Returns:
        (N, t, h, w), >= 0, float32 (float64 for float64 activations).

    Raises:
        ShapeError: N or D differ.
    """
    if weights.shape != activations.shape[:2]:
        raise ShapeError(f"weights must be (N, D) of activations, got {weights.shape = }, {activations.shape = }")
    values = at_least_float32(activations)
    flat = torch.bmm(weights.unsqueeze(1).to(values.dtype), values.flatten(2))  # (N, 1, t·h·w)
    return flat.view(values.shape[0], *values.shape[2:]).relu()


def above_neutral(activations: Tensor, reference: Tensor) -> Tensor:
    """relu(A - A₀): what rises above the layer's answer to a clip without content; the input of `neutral-gradcam`.

    neutral-gradcam = relu(Σ_d mean(g_d) · relu(A_d - A₀_d)). Cells that are loud on any clip (a sink) fall silent, and
    all others keep what the clip has added. Where A₀ = 0 it is Grad-CAM (GC++ eq. 3 and 7, with A >= 0). On a pooled
    linear head the maps of rise and fall, before the outer relu, add up over the grid to S(clip) - S(neutral clip).

    Args:
        activations: A, (N, D, t, h, w).
        reference: A₀, (1, D, t, h, w).

    Returns:
        (N, D, t, h, w), >= 0, float32 (float64 if one of the two is).

    Raises:
        ShapeError: the reference is not one clip of the same size.
    """
    if reference.shape != (1, *activations.shape[1:]):
        raise ShapeError(
            f"the reference is one clip of the activations' size, got {activations.shape = }, {reference.shape = }"
        )
    a = at_least_float32(activations)
    return (a - at_least_float32(reference).to(a.device)).relu()


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_d g · A): each cell weighed by its own gradient. Equal to Grad-CAM where g is constant in each channel.

    Args:
        activations: A, (N, D, t, h, w).
        gradients: g = ∂score/∂A, same shape.

    Returns:
        (N, t, h, w), >= 0, float32 (float64 if one of the two is).

    Raises:
        ShapeError: shapes differ or have no trailing axes.
    """
    return _sum_products(activations, gradients, at_least_float32)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_d relu(g) · A): the same without negative gradients. Arguments, result and errors as `hirescam`."""
    return _sum_products(activations, gradients, lambda g: at_least_float32(g).relu())


def _sum_products(activations: Tensor, gradients: Tensor, weigh: Callable[[Tensor], Tensor]) -> Tensor:
    if activations.shape != gradients.shape or activations.ndim < 3:
        raise ShapeError(
            f"activations and gradients must be of one shape (N, D, ...) with a grid, got {activations.shape = }, "
            f"{gradients.shape = }"
        )
    width = max(CHANNELS_AT_ONCE, PRODUCTS_AT_ONCE // max(1, prod(activations.shape[2:])))
    slices = zip(*(torch.split(tensor, width, dim=1) for tensor in (activations, gradients)), strict=True)
    return torch.stack([(weigh(g) * at_least_float32(a)).sum(dim=1) for a, g in slices]).sum(dim=0).relu()
