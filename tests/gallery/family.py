"""A family of networks of the gallery: what its recipe needs to run, and how its layer lies in space and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from torch import Tensor, nn

Patch = pytest.MonkeyPatch
Names = dict[str, Any]


def as_it_is(activations: Tensor) -> Tensor:
    """(N, D, t, h, w) already."""
    return activations


def nothing(_network: nn.Module) -> Names:
    """No options: the layer and its layout are found."""
    return {}


def run(network: nn.Module, inputs: Any) -> Any:
    """What a network returns for a clip, a list of pathways, into which it may write, or a dict of arguments."""
    if isinstance(inputs, dict):
        return network(**inputs)
    return network(list(inputs) if isinstance(inputs, list) else inputs)


def logits(network: nn.Module, inputs: Any) -> Any:
    """The logits (N, K) of a network that returns them alone, first in a tuple, or as `logits`."""
    output = run(network, inputs)
    return output[0] if isinstance(output, tuple) else getattr(output, "logits", output)


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One family.

    Attributes:
        title: heading of its recipe.
        page: page of docs/models that has the recipe.
        prepare: puts small networks with random weights in the place of published ones; returns the names that the
            recipe takes for granted, such as `clip`.
        package: what must be installed; None if vidcam's own dependencies are enough.
        layout: the layer's output → (N, D, t, h, w), written by hand. The runs of a layer that runs several times are
            stacked along axis 2 before.
        scores: runs the network; returns its logits, or what the recipe's target function takes.
        axes: of the clip.
        is_probed: whether a cell's place is checked: where vidcam was told the layout.
        cams: what class activation maps need and the recipe does not state, as it draws another map.
        reach: how many cells further the reaction may be, where the pixels that neighbouring cells see overlap.
    """

    title: str
    page: str
    prepare: Callable[[Patch], Names]
    package: str | None = None
    layout: Callable[[Tensor], Tensor] = as_it_is
    scores: Callable[[nn.Module, Any], Any] = logits
    axes: str = "NCTHW"
    is_probed: bool = False
    cams: Callable[[nn.Module], Names] = nothing
    reach: int = 0
