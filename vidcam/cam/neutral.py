"""What a network shows on a clip without content: the reference of the neutral methods, and where its sink is.

A network answers a flat grey clip too. What its target layer does there says nothing of any film: subtracted from the
activations, it leaves what the clip itself has brought about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from vidcam.cam.attribution import Attribution, attribution
from vidcam.cam.audit import find_sink
from vidcam.cam.choice import Layers, layer_names
from vidcam.cam.inputs import Input
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import Reshape
from vidcam.results.explanation import Sink


@dataclass(frozen=True, slots=True, eq=False)
class Neutral:
    """A network on a clip without content; good for every clip of the same size while the weights stay what they are.

    Attributes:
        activations: layer → A₀, (1, D, t, h, w), detached: of the clip without content, or the median of several.
        sink: the cells that are loud; None where none is, and of several layers, whose fused map is on one grid and
            their activations are not.
    """

    activations: Mapping[str, Tensor] = field(repr=False)
    sink: Sink | None

    @property
    def layers(self) -> tuple[str, ...]:
        """Dotted names of the target layers."""
        return tuple(self.activations)


def look_at_neutral(model: nn.Module, clip: Input, *, layer: Layers = None, reshape: Reshape | None = None) -> Neutral:
    """Run the model once on a clip without content, or on ordinary clips of which the median is taken.

    Args:
        model: as of `vidcam.explain`.
        clip: as the model takes it. One clip without content: flat grey in the model's own scaling, for example. Or N
            ordinary clips, some dozens, for calibration: A₀ is their median, cell by cell.
        layer: as of `vidcam.explain`.
        reshape: likewise.

    Raises:
        InputError: as `vidcam.explain`.
    """
    with attribution(model, clip, MapRequest(layers=layer_names(model, layer), reshape=reshape)) as run:
        return neutral_of(run)


def neutral_of(run: Attribution) -> Neutral:
    """The same of a forward pass that is open."""
    activations = {name: _median(found) for name, found in run.activations_of_layers.items()}
    (first, *more) = activations.values()
    return Neutral(activations, None if more else find_sink(first))


def _median(activations: Tensor) -> Tensor:
    """Cell by cell; of an even number the lower one."""
    return activations.median(dim=0, keepdim=True).values
