"""The methods by name: canonical names, aliases, and how each makes a map from the data of one layer.

Those of PAIR_METHODS need A and g alone: one forward pass and one backward pass through the head serve them all. Those
of BASELINE_METHODS need A₀ too, the activations of a clip without content, which serve all clips. The others read the
classifier's weights (`cam`), or further products through the head (`gradcam++softmax`). The guided ones multiply the
map of another method with guided backpropagation at the input.

Maps are raw: on the feature grid, before upsampling and normalising, (N, t, h, w), >= 0, in float32 at least. `combine`
weighs whole channels, relu(Σ_d w_d · A_d) (GC++ eq. 7); `hirescam` (arXiv:2011.08891) and `layercam`
(doi:10.1109/TIP.2021.3089943) weigh every cell by its own gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.softmax import SoftmaxForm
from vidcam.cam.weights import (
    at_least_float32,
    audit_alpha,
    clamped_share,
    gradcam_plus_weights,
    gradcam_pp_signed_weights,
    gradcam_pp_weights,
    gradcam_weights,
    to_numpy,
)
from vidcam.errors import InputError, ShapeError, name_not_found
from vidcam.results.explanation import GUIDED, AlphaAudit

CHANNELS_AT_ONCE, PRODUCTS_AT_ONCE = 32, 1 << 18
"""Products of g and A are summed in slices of so many channels, or of as many as make so many products of one clip, if
those are more: einsum permutes, and with that copies, both of them, and small slices are more calls than sums."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerData:
    """What one forward pass shows at one layer for one target of each clip.

    Attributes:
        activations: A, (N, D, t, h, w).
        gradients: g = ∂score/∂A, same shape.
        score_scale: λ of EQ 12, the scale of the score in exp(λS).
        reference: gives A₀, (1, D, t, h, w), what the layer shows on a clip without content.
        classifier: gives the classifier's weights for the target, (N, D).
        softmax: gives the weights of Grad-CAM++ for Y = softmax(S)_c.
    """

    activations: Tensor
    gradients: Tensor
    score_scale: float
    reference: Callable[[], Tensor]
    classifier: Callable[[], Tensor]
    softmax: Callable[[], SoftmaxForm]

    def volumes(self, methods: Iterable[str]) -> dict[str, Tensor]:
        """Method → raw map, (N, t, h, w)."""
        return {name: METHODS[name](self) for name in methods}

    def audits(self, volumes: Mapping[str, Tensor]) -> dict[str, AlphaAudit]:
        """The audit of α, where gradcam++ is among the maps."""
        if "gradcam++" not in volumes:
            return {}
        plus = volumes["gradcam+"] if "gradcam+" in volumes else METHODS["gradcam+"](self)
        return {
            "gradcam++": audit_alpha(
                self.activations, self.gradients, plus, volumes["gradcam++"], score_scale=self.score_scale
            )
        }

    def clamped(self, methods: Iterable[str]) -> dict[str, NDArray[np.float64]]:
        """Method → (N,) share of the positions that weigh whose denominator was clamped, where α has poles."""
        shares = {}
        if "gradcam++signed" in methods:
            shares["gradcam++signed"] = clamped_share(self.activations, self.gradients, score_scale=self.score_scale)
        if "gradcam++softmax" in methods:
            shares["gradcam++softmax"] = to_numpy(self.softmax().clamped.double())
        return shares


MapFunction = Callable[[LayerData], Tensor]

PAIR_METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        "gradcam": lambda e: combine(gradcam_weights(e.activations, e.gradients), e.activations),
        "gradcam+": lambda e: combine(gradcam_plus_weights(e.activations, e.gradients), e.activations),
        "gradcam++": lambda e: combine(
            gradcam_pp_weights(e.activations, e.gradients, score_scale=e.score_scale), e.activations
        ),
        "gradcam++signed": lambda e: combine(
            gradcam_pp_signed_weights(e.activations, e.gradients, score_scale=e.score_scale), e.activations
        ),
        "hirescam": lambda e: hirescam(e.activations, e.gradients),
        "layercam": lambda e: layercam(e.activations, e.gradients),
    }
)
"""Methods that need A and g alone; → raw map (N, t, h, w)."""

BASELINE_METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        "neutral-gradcam": lambda e: combine(
            gradcam_weights(e.activations, e.gradients), above_baseline(e.activations, e.reference())
        ),
    }
)
"""Methods that need A, g and A₀: one forward pass more for each model and size, none for a clip."""

METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        **PAIR_METHODS,
        **BASELINE_METHODS,
        "gradcam++softmax": lambda e: combine(e.softmax().weights, e.activations),
        "cam": lambda e: combine(e.classifier(), e.activations),
    }
)
"""Every method that makes a volume; → raw map (N, t, h, w)."""

ALL_METHODS = (*METHODS, *GUIDED)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "gcam": "gradcam",
        "grad-cam": "gradcam",
        "gcam+": "gradcam+",
        "grad-cam+": "gradcam+",
        "gcam++": "gradcam++",
        "gcampp": "gradcam++",
        "gradcampp": "gradcam++",
        "grad-cam++": "gradcam++",
        "hires-cam": "hirescam",
        "layer-cam": "layercam",
        "guided-grad-cam": "guided-gradcam",
        "guided-grad-cam+": "guided-gradcam+",
        "guided-grad-cam++": "guided-gradcam++",
    }
)

DEFAULT_METHODS = ("gradcam", "gradcam++")


def canonical_methods(names: str | Iterable[str]) -> tuple[str, ...]:
    """Canonical names in the given order, each once.

    Args:
        names: one name or several; a text may separate them by commas.

    Raises:
        NameNotFoundError: an unknown name.
        InputError: no name at all.
    """
    canonical = tuple(
        dict.fromkeys(_canonical(name) for name in (names.split(",") if isinstance(names, str) else names))
    )
    if not canonical:
        raise InputError(f"no method is given; the methods are {', '.join(ALL_METHODS)}")
    return canonical


def volume_methods(names: Iterable[str]) -> tuple[str, ...]:
    """The methods whose volumes are needed for some methods: themselves, and what guided ones multiply; each once."""
    return tuple(dict.fromkeys(GUIDED.get(name, name) for name in names))


def _canonical(name: str) -> str:
    folded = name.strip().casefold()
    folded = ALIASES.get(folded, folded)
    if folded not in ALL_METHODS:
        raise name_not_found("method", name, ALL_METHODS, f"the methods are {', '.join(ALL_METHODS)}")
    return folded


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


def above_baseline(activations: Tensor, reference: Tensor) -> Tensor:
    """relu(A - A₀): what rises above the layer's answer to a clip without content; the input of `neutral-gradcam`.

    neutral-gradcam = relu(Σ_d mean(g_d) · relu(A_d - A₀_d)). Artifact cells fall silent, and all
    others keep what the clip has added. Where A₀ = 0 it is Grad-CAM (GC++ eq. 3 and 7, with A >= 0). On a pooled
    linear head the maps of rise and fall, before the outer relu, add up over the grid to S(clip) - S(baseline clip).

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
