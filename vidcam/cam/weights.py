"""Channel weights of the Grad-CAM family from one pair of activations A and gradients g.

Pure functions, generic in the number of trailing axes: (N, D, t, h, w) for video, (N, D, h, w) for images. Sums run
over all trailing axes, in float32 at least (95,585 over 8x28x28 overflows float16); float64 stays float64.
GC++ is arXiv:1710.11063, EQ is arXiv:2205.10838.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidcam.errors import ShapeError

GUARD = 1e-4
"""Denominators of α are kept at least this share of (2 + |ΣA·g|) away from zero; see `guarded_denominator`."""


def gradcam_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights of Grad-CAM: w_d = mean(g) (GC++ eq. 3).

    Args:
        activations: A, (N, D, t, h, w), output of the target layer; only its shape matters here.
        gradients: g = ∂score/∂A, same shape. The score is the logit, not the probability.

    Returns:
        (N, D), float32 or float64.

    Raises:
        ShapeError: shapes differ or have no trailing axes.
    """
    _, g = _checked(activations, gradients)
    return g.mean(dim=_grid_axes(g))


def gradcam_plus_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights of Grad-CAM+: w_d = mean(relu(g)) (EQ 3). Arguments and result as `gradcam_weights`; >= 0."""
    _, g = _checked(activations, gradients)
    return g.relu().mean(dim=_grid_axes(g))


def gradcam_pp_weights(activations: Tensor, gradients: Tensor) -> Tensor:
    """Channel weights of Grad-CAM++ with the score passed through exp.

    w_d = Σ relu(g) / (2 + relu(g)·ΣA)      (GC++ eq. 5 and 19, divided through by g² as in EQ 13)

    Exact when the head is piecewise linear in A. With A >= 0 the denominator is >= 2: no epsilon. The factor exp(S)
    common to all weights is left out; it would overflow float32 at S >= 89.

    Args:
        activations: A, (N, D, t, h, w), output of the target layer after its ReLU.
        gradients: g = ∂score/∂A, same shape. The score is the logit, not the probability.

    Returns:
        (N, D), float32 or float64, >= 0 where A >= 0.

    Raises:
        ShapeError: shapes differ or have no trailing axes.
    """
    a, g = _checked(activations, gradients)
    positive = g.relu()
    denominator, _ = guarded_denominator(channel_sums(a) * positive)
    return (positive / denominator).sum(dim=_grid_axes(g))


def alpha(activations: Tensor, gradients: Tensor) -> Tensor:
    """The pixel-wise weights α of Grad-CAM++, unguarded: 1 / (2 + ΣA·g) where g != 0, 0 where g = 0 (EQ 13).

    Args:
        activations: A, (N, D, t, h, w).
        gradients: g, same shape.

    Returns:
        (N, D, t, h, w); in (0, 1/2] where A >= 0 and g > 0; unbounded where ΣA·g comes near -2.
    """
    a, g = _checked(activations, gradients)
    return torch.where(g != 0, 1 / (2 + channel_sums(a) * g), torch.zeros_like(g))


def channel_sums(activations: Tensor) -> Tensor:
    """ΣA: the sum of each channel over its grid, (N, D, 1, 1, 1)."""
    return activations.sum(dim=_grid_axes(activations), keepdim=True)


def guarded_denominator(product: Tensor) -> tuple[Tensor, Tensor]:
    """2 + ΣA·g, kept |·| >= 1e-4·(2 + |ΣA·g|) with its sign.

    Args:
        product: ΣA·g.

    Returns:
        The denominator and a bool tensor that says where the guard acted.
    """
    denominator = 2 + product
    floor = GUARD * (2 + product.abs())
    guarded = denominator.abs() < floor
    return torch.where(guarded, torch.copysign(floor, denominator), denominator), guarded


def _grid_axes(tensor: Tensor) -> tuple[int, ...]:
    return tuple(range(2, tensor.ndim))


def _checked(activations: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
    if activations.shape != gradients.shape or activations.ndim < 3:
        raise ShapeError(
            f"activations and gradients must be of one shape (N, D, ...) with a grid, got {activations.shape = }, "
            f"{gradients.shape = }"
        )
    return at_least_float32(activations), at_least_float32(gradients)


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself for float32 and float64, float32 for narrower types."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
