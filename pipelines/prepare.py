"""The model as a run uses it: its faster copy, tried out on a grey clip, or the model itself where that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidcam.cam.neutral import Neutral
from vidcam.models.model import Model
from vidcam.models.optimise import Forward, Precision, optimised
from vidcam.pipelines.grey import look_at_grey


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A model that has been tried out.

    Attributes:
        model: for everything that looks at the layers; weights are drawn anew in the given one, not in this.
        forward: which paths it takes.
        neutral: what it does on a flat grey clip.
    """

    model: Model
    forward: Forward
    neutral: Neutral


def prepare(model: Model, layers: Sequence[str], *, precision: Precision = "float32") -> Prepared:
    """A faster copy of the model for looking at these layers, or the model itself.

    Args:
        model: left as it was.
        layers: dotted names.
        precision: of the trunk; other than 'float32' it is not exact, and there is no other way in its place.

    Raises:
        InputError: the layer carries no map, the model is none for its spec, or the precision is none for it.
        RunError: the model fails.
    """
    return Prepared(*optimised(model, lambda tried: look_at_grey(tried, layers), precision=precision))
