"""The methods by name: canonical names, aliases, and the weight function of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from torch import Tensor

from vidcam.cam.weights import gradcam_plus_weights, gradcam_pp_weights, gradcam_weights
from vidcam.errors import InputError, name_not_found

WeightFunction = Callable[[Tensor, Tensor], Tensor]

METHODS: Mapping[str, WeightFunction] = MappingProxyType(
    {"gradcam": gradcam_weights, "gradcam+": gradcam_plus_weights, "gradcam++": gradcam_pp_weights}
)
"""Canonical name → channel weights (N, D) from A and g."""

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
        raise InputError(f"no method was given, expected at least one of {', '.join(METHODS)}")
    return canonical


def _canonical(name: str) -> str:
    folded = name.strip().casefold()
    folded = ALIASES.get(folded, folded)
    if folded not in METHODS:
        raise name_not_found("method", name, METHODS, f"the methods are {', '.join(METHODS)}")
    return folded
