"""The methods by name: canonical names, aliases, and how each makes a map from the evidence of one layer.

Those of PAIR_METHODS need A and g alone: one forward pass and one backward pass through the head serve them all. Those
of NEUTRAL_METHODS need A₀ too, the activations of a clip without content, which serve all clips. The others read the
classifier's weights (`cam`), or further products through the head (`gradcam++softmax`). The guided ones multiply the
map of another method with guided backpropagation at the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from vidcam.cam.softmax import SoftmaxForm
from vidcam.cam.volume import above_neutral, combine, hirescam, layercam
from vidcam.cam.weights import (
    gradcam_plus_weights,
    gradcam_pp_signed_weights,
    gradcam_pp_weights,
    gradcam_weights,
)
from vidcam.errors import InputError, name_not_found
from vidcam.results.explanation import GUIDED


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What one forward pass shows at one layer for one target of each clip.

    Attributes:
        activations: A, (N, D, t, h, w).
        gradients: g = ∂score/∂A, same shape.
        lam: λ of EQ 12, the scale of the score in exp(λS).
        reference: gives A₀, (1, D, t, h, w), what the layer shows on a clip without content.
        classifier: gives the classifier's weights for the target, (N, D).
        softmax: gives the weights of Grad-CAM++ for Y = softmax(S)_c.
    """

    activations: Tensor
    gradients: Tensor
    lam: float
    reference: Callable[[], Tensor]
    classifier: Callable[[], Tensor]
    softmax: Callable[[], SoftmaxForm]


MapFunction = Callable[[Evidence], Tensor]

PAIR_METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        "gradcam": lambda e: combine(gradcam_weights(e.activations, e.gradients), e.activations),
        "gradcam+": lambda e: combine(gradcam_plus_weights(e.activations, e.gradients), e.activations),
        "gradcam++": lambda e: combine(gradcam_pp_weights(e.activations, e.gradients, lam=e.lam), e.activations),
        "gradcam++signed": lambda e: combine(
            gradcam_pp_signed_weights(e.activations, e.gradients, lam=e.lam), e.activations
        ),
        "hirescam": lambda e: hirescam(e.activations, e.gradients),
        "layercam": lambda e: layercam(e.activations, e.gradients),
    }
)
"""Methods that need A and g alone; → raw map (N, t, h, w)."""

NEUTRAL_METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        "neutral-gradcam": lambda e: combine(
            gradcam_weights(e.activations, e.gradients), above_neutral(e.activations, e.reference())
        ),
    }
)
"""Methods that need A, g and A₀: one forward pass more for each model and size, none for a clip."""

METHODS: Mapping[str, MapFunction] = MappingProxyType(
    {
        **PAIR_METHODS,
        **NEUTRAL_METHODS,
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


def canonical_methods(names: Iterable[str]) -> tuple[str, ...]:
    """Canonical names in the given order, each once.

    Raises:
        NameNotFoundError: an unknown name.
        InputError: no name at all.
    """
    canonical = tuple(dict.fromkeys(_canonical(name) for name in names))
    if not canonical:
        raise InputError(f"no method was given, expected at least one of {', '.join(ALL_METHODS)}")
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
