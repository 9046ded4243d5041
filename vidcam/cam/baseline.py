"""What a network shows on a clip without content: the reference of the baseline methods, and where its artifact is.

A network answers a flat grey clip too. What its target layer does there says nothing of any video: subtracted from the
activations, it leaves what the clip itself has brought about.

In some networks a cell or two have a strong response to any input: an artifact. A map that peaks there shows the
weights and not the video. `find_artifact` finds the cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from vidcam.cam.attribution import Attribution, open_attribution
from vidcam.cam.layers import Layers, layer_names
from vidcam.cam.network import Input
from vidcam.cam.preserve import Undo
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import Reshape
from vidcam.cam.weights import at_least_float32, to_numpy
from vidcam.results.explanation import Artifact

PROMINENCE = 3.0
"""A cell is an artifact on the grey clip only from this multiple of the median on."""

MOST_LOUD = 0.1
"""Where more than this share of the grid is loud, nothing stands out."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A network on a clip without content; good for every clip of the same size while the weights stay what they are.

    Attributes:
        activations: layer → A₀, (1, D, t, h, w), detached: of the clip without content, or the median of several.
        artifact: the cells that are loud; None where none is, and of several layers, whose fused map is on one grid and
            their activations are not.
    """

    activations: Mapping[str, Tensor] = field(repr=False)
    artifact: Artifact | None

    @property
    def layers(self) -> tuple[str, ...]:
        """Dotted names of the target layers."""
        return tuple(self.activations)


def compute_baseline(
    model: nn.Module, clip: Input, *, layer: Layers = None, reshape: Reshape | None = None
) -> Baseline:
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
    request = MapRequest(layers=layer_names(model, layer), reshape=reshape)
    with Undo() as undo, undo:
        return baseline_of(open_attribution(model, clip, request, undo))


def baseline_of(run: Attribution) -> Baseline:
    """The same of a forward pass that is open."""
    activations = {  # the median cell by cell; of an even number the lower one
        name: found.median(dim=0, keepdim=True).values for name, found in run.activations_of_layers.items()
    }
    (first, *more) = activations.values()
    return Baseline(activations, None if more else find_artifact(first))


def find_artifact(activations: Tensor) -> Artifact | None:
    """The cells that are loud on a content-free clip: those that rise at least half as far above the median as the top.

    Args:
        activations: A of the grey clip, (1, D, t, h, w).

    Returns:
        None where nothing stands out: the loudest cell reaches less than three times the median, or more than a tenth
        of the grid is as loud.
    """
    sums = to_numpy(at_least_float32(activations).sum(dim=1)[0]).astype(np.float64)
    flat, median = sums.ravel(), float(np.median(sums))
    top = float(flat.max())
    order = np.argsort(-flat, kind="stable")
    loud = order[flat[order] >= median + (top - median) / 2]
    if top - median <= (PROMINENCE - 1) * abs(median) or loud.size > max(1.0, flat.size * MOST_LOUD):
        return None
    cells = tuple(tuple(int(i) for i in np.unravel_index(index, sums.shape)) for index in loud)
    return Artifact(cells, top, median)
