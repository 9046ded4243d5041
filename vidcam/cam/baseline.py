"""The baseline of a network: its activations on a content-free clip, and the artifact that they show.

A network also responds to a flat grey clip. Those activations say nothing about any video. Subtracted from the
activations of a clip, they leave the response to the clip's content.

In some networks one or two cells have high activations on any input: an artifact. A map that peaks there shows the
weights, not the video. `find_artifact` finds these cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.attribution import Attribution, open_attribution
from vidcam.cam.layers import Layers, layer_names
from vidcam.cam.network import Input
from vidcam.cam.preserve import Undo
from vidcam.cam.refusals import PlainRefusal
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import Reshape
from vidcam.cam.subject import Subject, grey_clip, read_subject
from vidcam.cam.token_layer import TokenStageError, at_layer
from vidcam.cam.weights import at_least_float32, to_numpy
from vidcam.results.explanation import Artifact
from vidcam.spec import SpecifiedModel

PROMINENCE = 3.0
"""The top cell is an artifact only if its channel sum exceeds this multiple of the median."""

MAX_ARTIFACT_SHARE = 0.1
"""If more cells than this share of the grid are as high, there is no artifact."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """The baseline of a network, valid for every clip of the same size while the weights do not change.

    Attributes:
        activations: layer → A₀, (1, D, t, h, w), detached: of the content-free clip, or the median of several clips.
        artifact: the cells with high activations. None if there are none, or if there are several layers: their fused
            map has one grid, their activations have not.
        notes: sentences about layers whose layout could not be verified.
        clips: the clips themselves, where paths of integrated gradients start; None if they were not kept.
    """

    activations: Mapping[str, Tensor] = field(repr=False)
    artifact: Artifact | None
    notes: tuple[str, ...] = ()
    clips: Input | None = field(default=None, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Dotted names of the target layers."""
        return tuple(self.activations)


def compute_baseline(
    model: nn.Module | SpecifiedModel,
    clip: Input | Mapping[str, Any] | None = None,
    *,
    layer: Layers = None,
    reshape: Reshape | None = None,
    axes: str | Axes | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Baseline:
    """Run the model once on a content-free clip, or on ordinary clips whose median is taken.

    `clip` is the model's input. Either one content-free clip, for example flat grey in the model's own scaling. Or N
    ordinary clips (a few dozen) for calibration: A₀ is their median, cell by cell. None: flat grey, for a `Model`. All
    other arguments and the errors are as in `vidcam.explain`.
    """
    subject = read_subject(model, grey_clip(model) if clip is None else clip, axes, args, kwargs)
    names = layer_names(subject.network, subject.layer if layer is None else layer)
    request = MapRequest(layers=names, reshape=reshape or subject.reshape, axes=subject.axes)
    return baseline_of_subject(subject, request)


def baseline_of_subject(subject: Subject, request: MapRequest) -> Baseline:
    """Run a network on its content-free clip; without a layer as `explain` does, also where it goes on in tokens."""
    network, clip, arguments = subject.network, subject.clip, subject.arguments
    try:
        with PlainRefusal(network, clip, arguments), Undo() as undo, undo:
            baseline = baseline_of(open_attribution(network, clip, request, undo, arguments))
    except TokenStageError as exc:
        return exc.in_order(lambda layer: baseline_of_subject(subject, at_layer(request, layer)))
    return replace(baseline, clips=clip)


def baseline_of(run: Attribution) -> Baseline:
    """Return the baseline of an open forward pass."""
    activations = {  # the median cell by cell; of an even number of clips the lower one
        name: a.median(dim=0, keepdim=True).values for name, a in run.activations_of_layers.items()
    }
    (first, *more) = activations.values()
    return Baseline(activations, None if more else find_artifact(first), run.layout_notes)


def find_artifact(activations: Tensor) -> Artifact | None:
    """Find the cells with high activations on a content-free clip.

    A cell belongs to the artifact if it rises above the median at least half as far as the top cell.

    Args:
        activations: A of the content-free clip, (1, D, t, h, w).

    Returns:
        None if no cell stands out: the top cell is below three times the median, or more than a tenth of the grid is
        as high.
    """
    sums = to_numpy(at_least_float32(activations).sum(dim=1)[0]).astype(np.float64)
    flat, median = sums.ravel(), float(np.median(sums))
    top = float(flat.max())
    order = np.argsort(-flat, kind="stable")
    artifact = order[flat[order] >= median + (top - median) / 2]
    if top - median <= (PROMINENCE - 1) * abs(median) or artifact.size > max(1.0, flat.size * MAX_ARTIFACT_SHARE):
        return None
    cells = tuple(tuple(int(i) for i in np.unravel_index(index, sums.shape)) for index in artifact)
    return Artifact(cells, top, median)
