"""A model before its first film: on a flat grey clip, to try it out, and on noise, to choose the default methods."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vidcam.cam.ask import Ask
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.neutral import Neutral, neutral_of
from vidcam.errors import InputError, VidcamError
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import torch_errors, watched
from vidcam.preprocess import grey_input, scale_pixels

NEUTRAL_DEFAULT = ("neutral-gradcam", "gradcam++")


def look_at_grey(model: Model, layers: Sequence[str]) -> Neutral:
    """Show the model a flat grey clip, and with that try it out; one forward pass, good for all of its films.

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
        return neutral_of(run)


def default_methods(model: Model, layers: Sequence[str]) -> tuple[str, ...]:
    """What is explained where nothing was asked for: behind a pooled linear head neutral-gradcam, else gradcam.

    docs/neutral.md has the evidence. Whether the head is one mean and one linear layer, and A >= 0, is seen on a clip
    of noise, the same each time; a model that cannot be told of has no such head.
    """
    generator = torch.Generator().manual_seed(0)
    noise = scale_pixels(255.0 * torch.rand(1, 3, *model.spec.input_size, generator=generator), model.spec.scaling)
    try:
        with torch_errors(model, 1), watched(model, noise.to(model.device), layers) as run:
            is_rectified = all(bool((a >= 0).all()) for a in run.activations_of_layers.values())
            run.explain(0, Ask(("cam",)))  # refused but behind one mean and one linear layer
    except VidcamError:
        return DEFAULT_METHODS
    return NEUTRAL_DEFAULT if is_rectified else DEFAULT_METHODS
