"""A model on a flat grey clip: does it run at all, where is its sink, what do the neutral methods subtract.

One forward pass and one backward pass through the head for each model and size; good for all of its films.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vidcam.cam.ask import Ask
from vidcam.cam.attribution import Attribution
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.neutral import Neutral, neutral_of
from vidcam.errors import InputError
from vidcam.models.model import Model
from vidcam.pipelines.analyse import torch_errors, watched
from vidcam.preprocess import grey_input

NEUTRAL_DEFAULT = ("neutral-gradcam", "gradcam++")


@dataclass(frozen=True, slots=True, eq=False)
class Grey:
    """What a model does on grey.

    Attributes:
        neutral: references and sink.
        is_pooled: whether g is one number for each channel and A >= 0: a pooled linear head behind a ReLU.
    """

    neutral: Neutral = field(repr=False)
    is_pooled: bool

    @property
    def methods(self) -> tuple[str, ...]:
        """What is explained by default: behind a pooled linear head neutral-gradcam, else gradcam; docs/neutral.md."""
        return NEUTRAL_DEFAULT if self.is_pooled else DEFAULT_METHODS


def look_at_grey(model: Model, layers: Sequence[str]) -> Grey:
    """Show the model a flat grey clip, and with that try it out.

    Raises:
        InputError: the layer carries no map, or the model does not return as many scores as it has labels.
    """
    grey = grey_input(model.spec).to(model.device)
    with torch_errors(model, 1), watched(model, grey, layers) as run:
        classes = run.logits.shape[1]
        if classes != model.spec.classes:
            raise InputError(
                f"model {model.spec.name!r} returns {classes} scores, expected {model.spec.classes} as its spec says; "
                f"correct the spec's classes and labels"
            )
        neutral = neutral_of(run)
        return Grey(neutral, all(bool((a >= 0).all()) for a in neutral.activations.values()) and _is_uniform(run))


def _is_uniform(run: Attribution) -> bool:
    audits = run.explain(None, Ask(("gradcam++",))).alpha
    return all(bool(audit.uniform.all()) for audit in audits.values())
