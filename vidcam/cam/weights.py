"""Channel weights of the Grad-CAM family from one pair of activations A and gradients g.

Pure functions, generic in the number of trailing axes: (N, D, t, h, w) for video, (N, D, h, w) for images. Sums run
over all trailing axes, in float32 at least (95,585 over 8x28x28 overflows float16); float64 stays float64.
GC++ is arXiv:1710.11063, EQ is arXiv:2205.10838.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.errors import InputError, ShapeError

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


def gradcam_pp_weights(activations: Tensor, gradients: Tensor, *, lam: float = 1.0) -> Tensor:
    """Channel weights of Grad-CAM++ with the score passed through exp.

    w_d = Σ relu(g) / (2 + λ·relu(g)·ΣA)      (GC++ eq. 5 and 19, divided through by g² as in EQ 13; λ of EQ 12)

    Exact when the head is piecewise linear in A. With A >= 0 the denominator is >= 2: no epsilon. The factor
    λ·exp(λS) common to all weights is left out; it would overflow float32 at S >= 89.

    Args:
        activations: A, (N, D, t, h, w), output of the target layer after its ReLU.
        gradients: g = ∂score/∂A, same shape. The score is the logit, not the probability.
        lam: λ, the score is passed through exp(λS). Towards 0 the weights become Z/2 times those of Grad-CAM+, Z the
            cells of the grid, and at 0 they are exactly that.

    Returns:
        (N, D), float32 or float64, >= 0 where A >= 0.

    Raises:
        ShapeError: shapes differ or have no trailing axes.
        InputError: lam is negative or not finite.
    """
    a, g = _checked(activations, gradients)
    return _weighed(a, g.relu(), lam)


def gradcam_pp_signed_weights(activations: Tensor, gradients: Tensor, *, lam: float = 1.0) -> Tensor:
    """Channel weights of the ablation of Grad-CAM++ that keeps negative gradients: w_d = Σ α·g (GC++ eq. 29–30).

    w_d = Σ g / (2 + λ·g·ΣA), with poles at g < 0 also where A >= 0: `guarded_denominator` bounds them. Arguments and
    errors as `gradcam_pp_weights`; towards λ = 0 the weights become Z/2 times those of Grad-CAM.
    """
    a, g = _checked(activations, gradients)
    return _weighed(a, g, lam)


def alpha(activations: Tensor, gradients: Tensor, *, lam: float = 1.0) -> Tensor:
    """The pixel-wise weights α of Grad-CAM++, unguarded: 1 / (2 + λ·ΣA·g) where g != 0, 0 where g = 0 (EQ 12–13).

    Args:
        activations: A, (N, D, t, h, w).
        gradients: g, same shape.
        lam: λ, the score is passed through exp(λS); at 0 every α is 1/2.

    Returns:
        (N, D, t, h, w); in (0, 1/2] where A >= 0 and g > 0; unbounded where λ·ΣA·g comes near -2.

    Raises:
        ShapeError: shapes differ or have no trailing axes.
        InputError: lam is negative or not finite.
    """
    a, g = _checked(activations, gradients)
    return torch.where(g != 0, 1 / (2 + scaled_product(a, g, lam)), torch.zeros_like(g))


def channel_sums(activations: Tensor) -> Tensor:
    """ΣA: the sum of each channel over its grid, (N, D, 1, 1, 1)."""
    return activations.sum(dim=_grid_axes(activations), keepdim=True)


def guarded_denominator(product: Tensor, *, constant: float | Tensor = 2.0) -> tuple[Tensor, Tensor]:
    """2 + ΣA·g, kept |·| >= 1e-4·(2 + |ΣA·g|) with its sign.

    Args:
        product: ΣA·g.
        constant: what stands for the 2, >= 0, where the fraction α has been expanded.

    Returns:
        The denominator and a bool tensor that says where the guard acted.
    """
    denominator = constant + product
    size, floor = denominator.abs(), _floor(product, constant)
    return torch.copysign(torch.maximum(size, floor), denominator), size < floor


def is_guarded(product: Tensor) -> Tensor:
    """Where `guarded_denominator` acts on 2 + ΣA·g, without the denominator."""
    return (2.0 + product).abs_() < _floor(product, 2.0)


def _floor(product: Tensor, constant: float | Tensor) -> Tensor:
    return product.abs().add_(constant).mul_(GUARD)


def _weighed(a: Tensor, g: Tensor, lam: float) -> Tensor:
    denominator, _ = guarded_denominator(scaled_product(a, g, lam))
    return (g / denominator).sum(dim=_grid_axes(g))


def scaled_product(a: Tensor, g: Tensor, lam: float) -> Tensor:
    """λ·ΣA·g, (N, D, t, h, w); 0 where ΣA·g is, also for a λ beyond the range of float32."""
    return channel_sums(a) * g * min(checked_lam(lam), torch.finfo(g.dtype).max)


def checked_lam(lam: float) -> float:
    """The λ itself.

    Raises:
        InputError: it is negative or not finite.
    """
    if not (math.isfinite(lam) and lam >= 0):
        raise InputError(f"lam is {lam}, expected a finite number >= 0: the score is passed through exp(lam·S)")
    return lam


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


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """What leaves the core: float32 or float64, or the integers as they are."""
    detached = tensor.detach()
    return np.asarray((at_least_float32(detached) if detached.is_floating_point() else detached).cpu().numpy())
