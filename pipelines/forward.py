"""A model's forward pass, opened for explanation as its spec says; shared by explain and score.

Before its first clip a model is tried out on a flat grey clip, as a faster copy where that works, and the methods that
suit its head are chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from vidcam.cam.attribution import open_attribution
from vidcam.cam.baseline import Baseline, baseline_of
from vidcam.cam.layers import chosen_layers, dotted_name
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.preserve import Undo
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import reshape_of
from vidcam.errors import InputError, RunError, VidcamError
from vidcam.models.model import Forward, Model, Precision
from vidcam.models.optimise import optimise_model
from vidcam.preprocess import grey_input, scale_pixels

BASELINE_DEFAULT = ("neutral-gradcam", "gradcam++")

DEFAULT_BATCH = {"cpu": 4, "cuda": 16}
"""Clips that the model is shown at once, by device; 'auto' is this number, so that results do not depend on luck."""


def default_batch(model: Model) -> int:
    """Clips at once where no number was given."""
    return DEFAULT_BATCH.get(model.device.type, DEFAULT_BATCH["cpu"])


@contextmanager
def torch_errors(model: Model, batch: int) -> Iterator[None]:
    """Torch's own errors, out of memory among them, as one of ours.

    Raises:
        RunError: the model failed on a batch of so many clips.
    """
    try:
        yield
    except RuntimeError as exc:
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0].strip()
        raise RunError(
            f"model {model.spec.name!r} failed on a batch of {batch} ({reason}); if memory ran out, pass a smaller "
            f"--batch-size, else try the model on a tensor of {(batch, 3, *model.spec.input_size)}"
        ) from exc


def target_layers(model: Model, names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The layers that were asked for, else the model's own default, else the last that has an extent; dotted.

    Returns:
        The names, and a sentence where the layer was chosen here.
    """
    chosen = names or ((model.spec.layer,) if model.spec.layer else ())
    if chosen:
        return tuple(dict.fromkeys(dotted_name(name) for name in chosen)), ""
    with torch_errors(model, 1):
        layers, (note,) = chosen_layers(
            model.module, grey_input(model.spec).to(model.device), (), reshape_of(model.spec)
        )
    return layers, note


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A model that has been tried out.

    Attributes:
        model: for everything that looks at the layers; weights are drawn anew in the given one, not in this.
        forward: which paths it takes.
        baseline: what it does on a flat grey clip.
        given: the model itself, for guided backpropagation: a ReLU's gate at 0 may turn with the last bit.
    """

    model: Model
    forward: Forward
    baseline: Baseline
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
    faster, forward, baseline = optimise_model(
        model, lambda tried: compute_grey_baseline(tried, layers), precision=precision
    )
    return Prepared(faster, forward, baseline, model)


def compute_grey_baseline(model: Model, layers: Sequence[str]) -> Baseline:
    """Show the model a flat grey clip, and with that try it out; one forward pass, good for all of its videos.

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
        return baseline_of(run)


def default_methods(model: Model, layers: Sequence[str]) -> tuple[str, ...]:
    """What is explained where nothing was asked for: behind a pooled linear head neutral-gradcam, else gradcam.

    docs/baseline.md has the evidence. Whether the head is one mean and one linear layer, and A >= 0, is seen on a clip
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
    return BASELINE_DEFAULT if is_rectified else DEFAULT_METHODS


def map_request(model: Model, layers: Sequence[str], *, methods: Sequence[str] = DEFAULT_METHODS) -> MapRequest:
    """A request for maps as the model's spec says."""
    return MapRequest(methods=methods, layers=layers, reshape=reshape_of(model.spec), activation=model.spec.activation)
