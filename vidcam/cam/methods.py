"""All methods by name: canonical names, aliases, and how each makes a map from the data of one layer.

PAIR_METHODS need only A and g: one forward pass and one backward pass through the head serve all of them.
BASELINE_METHODS also need A₀, the activations of a content-free clip, which serve all clips. The others read the
classifier's weights (`cam`), or need more products through the head (`gradcam++softmax`). Guided methods multiply the
map of another method with guided backpropagation at the input. PATH_METHODS make fine maps of the input from gradients,
see `input_maps`, and MASKED from hidden parts, see `masked_maps`.

Maps are raw: (N, t, h, w), >= 0, float32 at least, on the feature grid, before upsampling and normalisation. `combine`
weights whole channels, relu(Σ_d w_d · A_d) (GC++ eq. 7). `hirescam` (arXiv:2011.08891) and `layercam`
(doi:10.1109/TIP.2021.3089943) weight every cell by its own gradient.
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
    require_one_shape,
    to_numpy,
)
from vidcam.errors import InputError, ShapeError, name_not_found
from vidcam.results.explanation import GUIDED, INPUT_METHODS, MASKED, PATH_METHODS, PRODUCTS, RELEVANCE, AlphaAudit

CHANNELS_AT_ONCE, PRODUCTS_AT_ONCE = 32, 1 << 18
"""Products of g and A are summed in slices of channels: CHANNELS_AT_ONCE, or as many as make PRODUCTS_AT_ONCE products
of one clip if that is more. (einsum would copy both tensors; smaller slices spend their time in calls.)"""


@dataclass(frozen=True, slots=True, eq=False)
class LayerData:
    """The data of one layer in one forward pass, for one target per clip.

    Attributes:
        activations: A, (N, D, t, h, w).
        gradients: g = ∂score/∂A, same shape.
        score_scale: λ of EQ 12, the scale of the score in exp(λS).
        baseline_activations: returns A₀, (1, D, t, h, w), the layer's activations on a content-free clip.
        classifier: returns the classifier's weights for the target, (N, D).
        softmax: returns the weights of Grad-CAM++ for Y = softmax(S)_c.
    """

    activations: Tensor
    gradients: Tensor
    score_scale: float
    baseline_activations: Callable[[], Tensor]
    classifier: Callable[[], Tensor]
    softmax: Callable[[], SoftmaxForm]

    def volumes(self, methods: Iterable[str]) -> dict[str, Tensor]:
        """Make the raw maps: method → (N, t, h, w)."""
        return {name: METHODS[name](self) for name in methods}

    def audits(self, volumes: Mapping[str, Tensor]) -> dict[str, AlphaAudit]:
        """Audit α if gradcam++ is among the maps."""
        if "gradcam++" not in volumes:
            return {}
        plus = volumes["gradcam+"] if "gradcam+" in volumes else METHODS["gradcam+"](self)
        return {
            "gradcam++": audit_alpha(
                self.activations, self.gradients, plus, volumes["gradcam++"], score_scale=self.score_scale
            )
        }

    def clamped(self, methods: Iterable[str]) -> dict[str, NDArray[np.float64]]:
        """Return method → (N,) clamped share of the positions, for the methods whose α has poles."""
        shares = {}
        if "gradcam++signed" in methods:
            shares["gradcam++signed"] = clamped_share(self.activations, self.gradients, score_scale=self.score_scale)
        if "gradcam++softmax" in methods:
            shares["gradcam++softmax"] = to_numpy(self.softmax().clamped.double())
        return shares


MapFunction = Callable[[LayerData], Tensor]

PAIR_METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        "gradcam": lambda data: combine(gradcam_weights(data.activations, data.gradients), data.activations),
        "gradcam+": lambda data: combine(gradcam_plus_weights(data.activations, data.gradients), data.activations),
        "gradcam++": lambda data: combine(
            gradcam_pp_weights(data.activations, data.gradients, score_scale=data.score_scale), data.activations
        ),
        "gradcam++signed": lambda data: combine(
            gradcam_pp_signed_weights(data.activations, data.gradients, score_scale=data.score_scale), data.activations
        ),
        "hirescam": lambda data: hirescam(data.activations, data.gradients),
        "layercam": lambda data: layercam(data.activations, data.gradients),
    }
)
"""Methods that need only A and g; → raw map (N, t, h, w)."""

BASELINE_METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        "neutral-gradcam": lambda data: combine(
            gradcam_weights(data.activations, data.gradients),
            above_baseline(data.activations, data.baseline_activations()),
        ),
    }
)
"""Methods that need A, g and A₀: one more forward pass for each model and input size."""

METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        **PAIR_METHODS,
        **BASELINE_METHODS,
        "gradcam++softmax": lambda data: combine(data.softmax().weights, data.activations),
        "cam": lambda data: combine(data.classifier(), data.activations),
    }
)
"""Every method that makes a volume; → raw map (N, t, h, w)."""

ALL_METHODS = (*METHODS, *INPUT_METHODS, *GUIDED)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "best": "neutral-gradcam-ig",
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
        "ig": "integrated-gradients",
        "grad-cam-ig": "gradcam-ig",
        "guided-grad-cam": "guided-gradcam",
        "guided-grad-cam+": "guided-gradcam+",
        "guided-grad-cam++": "guided-gradcam++",
    }
)

DEFAULT_METHODS = ("gradcam",)
TRANSFORMER_METHODS = ("token-lrp",)


def canonical_methods(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return canonical names in the given order, without duplicates.

    Args:
        names: one name or several; commas in a text separate names.

    Raises:
        NameNotFoundError: an unknown name.
        InputError: no name.
    """
    texts = [names] if isinstance(names, str) else names
    canonical = tuple(dict.fromkeys(_canonical(name) for text in texts for name in text.split(",")))
    if not canonical:
        raise InputError(f"methods is empty, expected one or more of {', '.join(ALL_METHODS)}")
    return canonical


def volume_methods(names: Iterable[str]) -> tuple[str, ...]:
    """Return the methods whose volumes are needed: a guided method needs the one that it multiplies. No duplicates."""
    return tuple(dict.fromkeys(GUIDED.get(name, name) for name in names))


def layer_methods(names: Iterable[str]) -> tuple[str, ...]:
    """Return the methods whose maps at the layer are needed, also those that others multiply. No duplicates."""
    needed = (PRODUCTS.get(name, name) for name in volume_methods(names))
    return tuple(dict.fromkeys(name for name in needed if name in METHODS))


def needs_layer(names: Iterable[str]) -> bool:
    """Whether a method needs the layer of class activation maps.

    Relevance has a layer of its own, whose pass serves maps of the input too.
    """
    names = tuple(names)
    return bool(layer_methods(names)) or not set(names) & set(RELEVANCE)


def needs_baseline(names: Iterable[str]) -> bool:
    """Whether one of the methods needs a clip without content; `expected-gradients` draws from other clips."""
    return not {*BASELINE_METHODS, *PATH_METHODS, *MASKED}.isdisjoint(set(names) - {"expected-gradients"})


def _canonical(name: str) -> str:
    folded = name.strip().casefold()
    folded = ALIASES.get(folded, folded)
    if folded not in ALL_METHODS:
        raise name_not_found("method", name, ALL_METHODS, f"the methods are {', '.join(ALL_METHODS)}")
    return folded


def combine(weights: Tensor, activations: Tensor) -> Tensor:
    """Combine channels to the raw class activation map, before upsampling and normalisation.

    Args:
        weights: w, (N, D).
        activations: A, (N, D, t, h, w).

    Returns:
        (N, t, h, w), >= 0, float32 (float64 for float64 activations).

    Raises:
        ShapeError: N or D differ.
    """
    if weights.shape != activations.shape[:2]:
        raise ShapeError(f"weights must be (N, D) like activations, got {weights.shape = }, {activations.shape = }")
    values = at_least_float32(activations)
    flat = torch.bmm(weights.unsqueeze(1).to(values.dtype), values.flatten(2))  # (N, 1, t·h·w)
    return flat.view(values.shape[0], *values.shape[2:]).relu()


def above_baseline(activations: Tensor, baseline_activations: Tensor) -> Tensor:
    """Return relu(A - A₀), the activations above the baseline: the input of `neutral-gradcam`.

    neutral-gradcam = relu(Σ_d mean(g_d) · relu(A_d - A₀_d)). Artifact cells become 0, all other cells keep the response
    to the clip's content. Where A₀ = 0 it equals Grad-CAM (GC++ eq. 3 and 7, with A >= 0). On a pooled linear head, the
    map of relu(A - A₀) minus that of relu(A₀ - A), before the outer relu, sums to S(clip) - S(baseline clip).

    Args:
        activations: A, (N, D, t, h, w).
        baseline_activations: A₀, (1, D, t, h, w).

    Returns:
        (N, D, t, h, w), >= 0, float32 (float64 if one of the two is).

    Raises:
        ShapeError: A₀ is not one clip of the same size.
    """
    if baseline_activations.shape != (1, *activations.shape[1:]):
        raise ShapeError(
            f"baseline_activations must be one clip of the activations' size, got {baseline_activations.shape = }, "
            f"{activations.shape = }"
        )
    a = at_least_float32(activations)
    return (a - at_least_float32(baseline_activations).to(a.device)).relu()


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_d g · A): each cell is weighted by its own gradient. Equals Grad-CAM if g is constant in each channel.

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
    """relu(Σ_d relu(g) · A): HiResCAM without negative gradients. Arguments, result and errors as `hirescam`."""
    return _sum_products(activations, gradients, lambda g: at_least_float32(g).relu())


def _sum_products(activations: Tensor, gradients: Tensor, weight: Callable[[Tensor], Tensor]) -> Tensor:
    require_one_shape(activations, gradients)
    width = max(CHANNELS_AT_ONCE, PRODUCTS_AT_ONCE // max(1, prod(activations.shape[2:])))
    slices = zip(*(torch.split(tensor, width, dim=1) for tensor in (activations, gradients)), strict=True)
    return torch.stack([(weight(g) * at_least_float32(a)).sum(dim=1) for a, g in slices]).sum(dim=0).relu()
