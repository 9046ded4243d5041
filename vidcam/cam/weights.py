"""Channel weights of the Grad-CAM family from activations A and gradients g, and statistics of α.

Pure functions for any number of trailing axes: (N, D, t, h, w) for video, (N, D, h, w) for images. Sums run over all
trailing axes, in float32 at least (95,585 over 8x28x28 overflows float16); float64 stays float64.
GC++ is arXiv:1710.11063, EQ is arXiv:2205.10838.

EQ 3.3–3.4 finds α ≈ 1/2 almost everywhere, so Grad-CAM++ is nearly Grad-CAM+, with rare outliers where ΣA·g is near -2.
`audit_alpha` reports both for each clip.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import AlphaAudit

GUARD = 1e-4
"""|denominator| of α is at least this share of 2 + |ΣA·g|; see `clamped_denominator`."""

MAX_POSITIONS = 1 << 17
"""Quartiles are computed on an even subsample of about this many positions of a clip, minimum and maximum on all."""


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


def gradcam_pp_weights(activations: Tensor, gradients: Tensor, *, score_scale: float = 1.0) -> Tensor:
    """Channel weights of Grad-CAM++ with the score passed through exp.

    w_d = Σ relu(g) / (2 + λ·relu(g)·ΣA)      (GC++ eq. 5 and 19, divided through by g² as in EQ 13; λ of EQ 12)

    Exact when the head is piecewise linear in A. With A >= 0 the denominator is >= 2: no epsilon is needed. The common
    factor λ·exp(λS) of all weights is left out; it would overflow float32 at S >= 89.

    Args:
        activations: A, (N, D, t, h, w), output of the target layer after its ReLU.
        gradients: g = ∂score/∂A, same shape. The score is the logit, not the probability.
        score_scale: λ of the explained score exp(λS). As λ goes to 0 the weights become Z/2 times those of Grad-CAM+
            (Z cells); at 0 they are exactly that.

    Returns:
        (N, D), float32 or float64, >= 0 where A >= 0.

    Raises:
        ShapeError: shapes differ or have no trailing axes.
        InputError: score_scale is negative or not finite.
    """
    a, g = _checked(activations, gradients)
    return _pp_weights(a, g.relu(), score_scale)


def gradcam_pp_signed_weights(activations: Tensor, gradients: Tensor, *, score_scale: float = 1.0) -> Tensor:
    """Channel weights of Grad-CAM++ with negative gradients kept, an ablation: w_d = Σ α·g (GC++ eq. 29–30).

    w_d = Σ g / (2 + λ·g·ΣA). It has poles at g < 0, also where A >= 0; `clamped_denominator` bounds them. Arguments and
    errors as `gradcam_pp_weights`. As λ goes to 0 the weights become Z/2 times those of Grad-CAM.
    """
    a, g = _checked(activations, gradients)
    return _pp_weights(a, g, score_scale)


def channel_sums(activations: Tensor) -> Tensor:
    """ΣA: the sum of each channel over its grid, (N, D, 1, 1, 1)."""
    return activations.sum(dim=_grid_axes(activations), keepdim=True)


def clamped_denominator(product: Tensor, *, constant: float | Tensor = 2.0) -> tuple[Tensor, Tensor]:
    """Return 2 + ΣA·g, with its sign and with |·| >= 1e-4·(2 + |ΣA·g|).

    Args:
        product: ΣA·g.
        constant: stands in for the 2, >= 0, if the fraction α has been expanded.

    Returns:
        The denominator, and a bool tensor: where it was clamped.
    """
    denominator = constant + product
    size, floor = denominator.abs(), _floor(product, constant)
    return torch.copysign(torch.maximum(size, floor), denominator), size < floor


def is_clamped(product: Tensor) -> Tensor:
    """Where `clamped_denominator` clamps 2 + ΣA·g; the denominator itself is not computed."""
    return (2.0 + product).abs_() < _floor(product, 2.0)


def _floor(product: Tensor, constant: float | Tensor) -> Tensor:
    return product.abs().add_(constant).mul_(GUARD)


def _pp_weights(a: Tensor, g: Tensor, score_scale: float) -> Tensor:
    denominator, _ = clamped_denominator(scaled_product(a, g, score_scale))
    return (g / denominator).sum(dim=_grid_axes(g))


def scaled_product(a: Tensor, g: Tensor, score_scale: float) -> Tensor:
    """λ·ΣA·g, (N, D, t, h, w); 0 where ΣA·g is 0, even if λ is beyond the range of float32."""
    return channel_sums(a) * g * min(checked_score_scale(score_scale), torch.finfo(g.dtype).max)


def checked_score_scale(score_scale: float) -> float:
    """Return λ unchanged.

    Raises:
        InputError: it is negative or not finite.
    """
    if not (math.isfinite(score_scale) and score_scale >= 0):
        raise InputError(f"score_scale is {score_scale}, expected a finite number >= 0")
    return score_scale


def _grid_axes(tensor: Tensor) -> tuple[int, ...]:
    return tuple(range(2, tensor.ndim))


def require_one_shape(activations: Tensor, gradients: Tensor) -> None:
    """Check that A and g are (N, D, ...) of one shape.

    Raises:
        ShapeError: they are not.
    """
    if activations.shape != gradients.shape or activations.ndim < 3:
        raise ShapeError(
            f"activations and gradients must have the same shape (N, D, ...), got {activations.shape = }, "
            f"{gradients.shape = }"
        )


def _checked(activations: Tensor, gradients: Tensor) -> tuple[Tensor, Tensor]:
    require_one_shape(activations, gradients)
    return at_least_float32(activations), at_least_float32(gradients)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return float32 and float64 unchanged, narrower types as float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """Convert to NumPy: float32 or float64; integers keep their type."""
    detached = tensor.detach()
    return np.asarray((at_least_float32(detached) if detached.is_floating_point() else detached).cpu().numpy())


def audit_alpha(
    activations: Tensor, gradients: Tensor, plus: Tensor, plus_plus: Tensor, *, score_scale: float = 1.0
) -> AlphaAudit:
    """Audit α for each clip.

    Args:
        activations: A, (N, D, t, h, w).
        gradients: g, same shape.
        plus: gradcam+ volumes, (N, t, h, w).
        plus_plus: gradcam++ volumes, (N, t, h, w).
        score_scale: λ of EQ 12.
    """
    a, g = at_least_float32(activations), at_least_float32(gradients)
    scaled = scaled_product(a, g, score_scale)
    product = scaled if score_scale == 1 else channel_sums(a) * g
    values = 1 / (2 + scaled)  # α where g != 0; not used elsewhere
    clamped = is_clamped(scaled)
    positive, nonzero = (g > 0).flatten(1), (g != 0).flatten(1)
    return AlphaAudit(
        positive=_five_numbers(values, positive),
        nonzero=_five_numbers(values, nonzero),
        product=_five_numbers(product, nonzero),
        clamped=_share(clamped.flatten(1), positive),
        agreement=correlation(to_numpy(plus), to_numpy(plus_plus)),
        uniform=to_numpy((g.flatten(2) == g.flatten(2)[:, :, :1]).flatten(1).all(dim=1)),
    )


def clamped_share(activations: Tensor, gradients: Tensor, *, score_scale: float = 1.0) -> NDArray[np.float64]:
    """Return for each clip the share of the positions with g != 0 where the signed form's α is clamped, (N,)."""
    a, g = at_least_float32(activations), at_least_float32(gradients)
    clamped = is_clamped(scaled_product(a, g, score_scale))
    return _share(clamped.flatten(1), (g != 0).flatten(1))


def correlation(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Pearson correlation of two stacks of maps, clip by clip, (N,); NaN if one of the two is constant."""
    x, y = (m.reshape(m.shape[0], -1).astype(np.float64) for m in (first, second))
    x, y = (m - m.mean(axis=1, keepdims=True) for m in (x, y))
    scale = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    result = np.full(x.shape[0], np.nan)
    np.divide((x * y).sum(axis=1), scale, out=result, where=scale > 0)
    return result


def _five_numbers(values: Tensor, mask: Tensor) -> NDArray[np.float64]:
    """Minimum, quartiles and maximum of each clip's values where the mask (N, P) is true, (N, 5); NaN where it is not.

    NumPy sorts faster than torch on a CPU. Elsewhere the values stay on the device.
    """
    if values.device.type != "cpu":
        return _five_numbers_by_torch(values.flatten(1), mask)
    rows = zip(to_numpy(values.flatten(1)), to_numpy(mask), strict=True)
    return np.stack([_summary(clip if keep.all() else clip[keep]) for clip, keep in rows])


def _five_numbers_by_torch(values: Tensor, mask: Tensor) -> NDArray[np.float64]:
    ordered = torch.where(mask, values, torch.inf).sort(dim=1).values
    last = mask.sum(dim=1, keepdim=True) - 1
    places = (last * torch.linspace(0.0, 1.0, 5, device=values.device)).round().long()
    numbers = to_numpy(ordered.gather(1, places.clamp_(min=0))).astype(np.float64)
    numbers[to_numpy(last[:, 0] < 0)] = np.nan
    return numbers


def _summary(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    if values.size == 0:
        return np.full(5, np.nan)
    sample = np.sort(values[:: max(1, values.size // MAX_POSITIONS)])  # same result as `np.quantile`, faster
    nearest = np.rint((sample.size - 1) * np.array([0.25, 0.5, 0.75])).astype(int)  # no mean of a number and inf
    return np.array([values.min(), *sample[nearest], values.max()], dtype=np.float64)


def _share(mask: Tensor, among: Tensor) -> NDArray[np.float64]:
    count = among.sum(dim=1)
    share = (mask & among).sum(dim=1) / count.clamp(min=1)
    return to_numpy(share).astype(np.float64)
