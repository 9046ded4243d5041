"""A model before its first clip: its faster copy, tried out on a flat grey clip, and the methods that suit its head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vidcam.cam.attribution import open_attribution
from vidcam.cam.baseline import Neutral, neutral_of
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.preserve import Undo
from vidcam.cam.request import MapRequest
from vidcam.errors import InputError, VidcamError
from vidcam.models.model import Forward, Model, Precision
from vidcam.models.optimise import optimised
from vidcam.pipelines.forward import reshape_of, torch_errors
from vidcam.preprocess import grey_input, scale_pixels

NEUTRAL_DEFAULT = ("neutral-gradcam", "gradcam++")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A model that has been tried out.

    Attributes:
        model: for everything that looks at the layers; weights are drawn anew in the given one, not in this.
        forward: which paths it takes.
        neutral: what it does on a flat grey clip.
        given: the model itself, for guided backpropagation: a ReLU's gate at 0 may turn with the last bit.
    """

    model: Model
    forward: Forward
    neutral: Neutral
    given: Model


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
    faster, forward, neutral = optimised(model, lambda tried: look_at_grey(tried, layers), precision=precision)
    return Prepared(faster, forward, neutral, model)


def look_at_grey(model: Model, layers: Sequence[str]) -> Neutral:
    """Show the model a flat grey clip, and with that try it out; one forward pass, good for all of its films.

    Raises:
        InputError: the layer carries no map, or the model does not return as many scores as it has labels.
    """
    grey, request = grey_input(model.spec).to(model.device), map_request(model, layers)
    with torch_errors(model, 1), Undo() as undo, undo:
        run = open_attribution(model.module, grey, request, undo)
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
    request = map_request(model, layers, methods=("cam",))
    try:
        with torch_errors(model, 1), Undo() as undo, undo:
            run = open_attribution(model.module, noise.to(model.device), request, undo)
            is_rectified = all(bool((a >= 0).all()) for a in run.activations_of_layers.values())
            run.explain(0)  # refused but behind one mean and one linear layer
    except VidcamError:
        return DEFAULT_METHODS
    return NEUTRAL_DEFAULT if is_rectified else DEFAULT_METHODS


def map_request(model: Model, layers: Sequence[str], *, methods: Sequence[str] = DEFAULT_METHODS) -> MapRequest:
    """A request for maps as the model's spec says."""
    return MapRequest(methods=methods, layers=layers, reshape=reshape_of(model.spec), activation=model.spec.activation)
