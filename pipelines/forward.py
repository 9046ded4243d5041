"""Prepare a model for maps: layers, layout, baseline and default methods. Used by explain and score.

Before the first clip the model runs once on a flat grey clip. A faster copy of the model is used if the copy
runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TypeVar

import torch

from vidcam.cam.attribution import open_attribution
from vidcam.cam.baseline import Baseline, baseline_of
from vidcam.cam.fusion import Fusion
from vidcam.cam.layer_run import chosen_layers
from vidcam.cam.layers import dotted_name
from vidcam.cam.methods import DEFAULT_METHODS, TRANSFORMER_METHODS, canonical_methods, needs_layer
from vidcam.cam.preserve import Undo
from vidcam.cam.relevance import is_transformer, may_be_transformer
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import reshape_of
from vidcam.cam.token_layer import TokenLayer, TokenStageError
from vidcam.devices import batch_for, clip_bytes
from vidcam.errors import InputError, LayerError, RunError, VidcamError
from vidcam.foreign import describe, is_of_module
from vidcam.models.model import Forward, Model, Precision
from vidcam.models.optimise import apply_forward, optimise_model
from vidcam.pipelines.memory import Remembered, StartMemory
from vidcam.preprocess import flat_inputs, grey_input, scale_pixels
from vidcam.results.explanation import INPUT_METHODS, Artifact
from vidcam.system.shortage import EITHER, shortage

POOLED_LINEAR_METHODS = ("neutral-gradcam", "gradcam")
RECTIFIED_METHODS = ("gradcam", "neutral-gradcam")
OTHER_METHODS = ("gradcam", "hirescam")
"""Default methods of a head of pooling and one linear layer, of any other behind a ReLU, and of the rest.
Transformers have `TRANSFORMER_METHODS`. docs/evidence/search.md says why gradcam++ is none of them."""

NO_MEMORY = StartMemory()

Request = TypeVar("Request", bound=MapRequest)


@contextmanager
def torch_errors(model: Model, batch: int) -> Iterator[None]:
    """Convert errors of PyTorch in the block, for example out of memory, and any error of the network's own code.

    Raises:
        RunError: the model failed on a batch of `batch` clips.
    """
    try:
        yield
    except VidcamError:
        raise
    except RuntimeError as exc:
        raise RunError(
            f"model {model.spec.name!r} failed on a batch of {batch}: {describe(exc)}{_advice(exc, model)}"
        ) from exc
    except (Exception, SystemExit) as exc:
        if not is_of_module(exc):
            raise
        raise RunError(f"model {model.spec.name!r} failed: {describe(exc)}") from exc


def _advice(error: RuntimeError, model: Model) -> str:
    """Return what to do about an error of torch; empty if that is not known."""
    if "start new thread" in str(error):
        return f"; {shortage() or EITHER}"
    text, weight = str(error), next((p for p in model.module.parameters() if p.is_floating_point()), None)
    if isinstance(error, torch.OutOfMemoryError) or "memory" in text:
        return "; use a smaller --batch-size"
    if weight is not None and weight.dtype != torch.float32 and "type" in text:
        return f"; the weights are {weight.dtype}, clips are torch.float32: return network.float()"
    if "channels, but got" in text:
        return f"; clips are {model.spec.input_axes.text}: correct the spec's axes"
    return ""


def target_layers(
    model: Model, names: Sequence[str], *, memory: StartMemory = NO_MEMORY
) -> tuple[tuple[str, ...], str]:
    """Choose the target layers: the named ones, else the model's default, else the last layer with an extent.

    Args:
        model: the model.
        names: the named layers.
        memory: keeps the answer for the next start.

    Returns:
        Dotted names, and a sentence if the layer was chosen automatically.
    """
    named = names or ((model.spec.layer,) if model.spec.layer else ())
    if named:
        return tuple(dict.fromkeys(dotted_name(name) for name in named)), ""

    def compute() -> Remembered:
        grey = grey_input(model.spec).to(model.device)
        with torch_errors(model, 1):
            layers, notes = chosen_layers(model.module, grey, (), reshape_of(model.spec), axes=model.spec.input_axes)
        return Remembered({"layers": layers, "note": " ".join(notes)})

    answer = memory.recall(["layers"], compute).document
    return tuple(answer["layers"]), answer["note"]


@dataclass(frozen=True, slots=True)
class MapPlan:
    """What maps are made where.

    Attributes:
        model: with the layout of the layers in its spec.
        methods: None: they depend on the head, see `default_methods`.
        layers: dotted names; empty if relevance alone is read, at a layer that each pass finds.
        note: a sentence if the layer was chosen automatically.
    """

    model: Model
    methods: tuple[str, ...] | None
    layers: tuple[str, ...]
    note: str = ""


def plan_maps(
    model: Model, methods: Sequence[str] | None, names: Sequence[str], *, memory: StartMemory = NO_MEMORY
) -> MapPlan:
    """Choose methods and layers: on a transformer relevance is the default, and needs no layer.

    Where the network goes on in tokens, the layer is the last norm before attention, if its layout is known.

    Args:
        model: the model.
        methods: the named methods; None: the default.
        names: the named layers.
        memory: keeps the answers for the next start.

    Raises:
        LayerError: no layer has a map.
    """
    is_open = methods is None and not names
    if is_open and may_be_transformer(model.module) and is_transformer_model(model, memory=memory):
        methods = TRANSFORMER_METHODS
    chosen = None if methods is None else canonical_methods(methods)
    if chosen is not None and not needs_layer(chosen):
        return MapPlan(model, chosen, tuple(map(dotted_name, names)))
    try:
        return MapPlan(model, chosen, *target_layers(model, names, memory=memory))
    except TokenStageError as exc:
        has_relevance = (is_open or exc.found is None) and is_transformer_model(model, memory=memory)
        if is_open and has_relevance:  # no name told it
            return MapPlan(model, TRANSFORMER_METHODS, ())
        if exc.found is None:
            advice = "give its spec a layer and a layout" + ", or use token-lrp" * has_relevance
            raise LayerError(f"{str(exc).partition(';')[0]}; {advice}") from exc
        return exc.in_order(partial(_plan_at, model, chosen))


def _plan_at(model: Model, methods: tuple[str, ...] | None, layer: TokenLayer) -> MapPlan:
    """Plan maps at a layer of tokens, and check its layout."""
    fitted = replace(model, spec=replace(model.spec, layout=layer.layouts))
    compute_grey_baseline(fitted, (layer.name,))
    return MapPlan(fitted, methods, (layer.name,), layer.note)


def is_transformer_model(model: Model, *, memory: StartMemory = NO_MEMORY) -> bool:
    """Whether relevance is the default for a model."""

    def compute() -> Remembered:
        grey = grey_input(model.spec).to(model.device)
        with torch_errors(model, 1):
            return Remembered({"is": is_transformer(model.module, grey, map_request(model, ()))})

    return bool(memory.recall(["transformer"], compute).document["is"])


def fusion_of(layers: Sequence[str], note: str) -> Fusion | None:
    """Return how the maps of `target_layers` are fused: parallel branches, which were chosen, are added."""
    return "sum" if note and len(layers) > 1 else None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A model that is ready for maps.

    Attributes:
        model: a faster copy, or the original model. Used for maps and scores.
        forward: memory format and precision of the copy.
        baseline: result on a flat grey clip.
        original: the original model. Used for guided backpropagation, where a ReLU may depend on the last bit, and
            for random weights.
        clip_bytes: memory that a clip needs on the device; None if that is not known.
        of_frames: the model made ready for whole frames of the last other (height, width); see `explain.view`.
    """

    model: Model
    forward: Forward
    baseline: Baseline
    original: Model
    clip_bytes: int | None = None
    of_frames: dict[tuple[int, int], Prepared] = field(default_factory=dict, repr=False)

    @property
    def default_batch(self) -> int:
        """Default number of clips per forward pass."""
        return batch_for(self.model.device, self.clip_bytes)


def prepare(
    model: Model,
    layers: Sequence[str],
    *,
    methods: Sequence[str] | None = None,
    precision: Precision = "float32",
    memory: StartMemory = NO_MEMORY,
) -> Prepared:
    """Make a faster copy of the model for maps at these layers, or take the model itself.

    Args:
        model: it is not changed.
        layers: dotted names.
        methods: None: maps of these layers; else they may need no layer.
        precision: precision of the network except its classifier; only 'float32' is exact.
        memory: keeps the baseline for the next start.

    Raises:
        InputError: the layer has no map, the model does not match its spec, or the precision is unsupported.
        RunError: the model fails on a grey clip.
    """
    made: list[Model] = []
    kind = DEFAULT_METHODS if methods is None or needs_layer(methods) else TRANSFORMER_METHODS

    def compute() -> Remembered:
        runs: list[Baseline] = []

        def run(candidate: Model) -> int | None:
            return clip_bytes(model.device, lambda: runs.append(compute_grey_baseline(candidate, layers, methods=kind)))

        faster, forward, needed = optimise_model(model, run, precision=precision)
        made.append(faster)
        artifact = runs[-1].artifact
        facts = {
            "forward": forward.entry(),
            "artifact": None if artifact is None else asdict(artifact),
            "clip_bytes": needed,
            "notes": runs[-1].notes,
        }
        return Remembered(facts, runs[-1].activations)

    answer = memory.recall(["baseline", *kind, *layers], compute)
    forward = Forward(**answer.document["forward"])
    faster = made[0] if made else apply_forward(model, forward)
    return Prepared(faster, forward, _baseline_of(answer, model), model, answer.document["clip_bytes"])


def _baseline_of(answer: Remembered, model: Model) -> Baseline:
    found = answer.document["artifact"]
    artifact = found and Artifact(tuple(map(tuple, found["cells"])), found["value"], found["median"])
    return Baseline(
        {name: tensor.to(model.device) for name, tensor in answer.tensors.items()},
        artifact,
        tuple(answer.document["notes"]),
    )


def compute_grey_baseline(model: Model, layers: Sequence[str], *, methods: Sequence[str] = DEFAULT_METHODS) -> Baseline:
    """Run the model once on a flat grey clip and check the layout of its layers; the result serves all videos.

    Raises:
        InputError: the layer has no map, or the model does not return one score per label.
    """
    grey, request = (
        grey_input(model.spec).to(model.device),
        map_request(model, layers, methods=methods, check_layout=True),
    )
    with torch_errors(model, 1), Undo() as undo, undo:
        run = open_attribution(model.module, grey, request, undo)
        classes = run.logits.shape[1]
        if classes != model.spec.classes:
            raise InputError(
                f"model {model.spec.name!r} returns {classes} scores, but its spec has {model.spec.classes} classes; "
                f"correct the spec"
            )
        return baseline_of(run)


def with_baseline_clips(request: Request, model: Model) -> Request:
    """Add the baselines of fine maps to a request: a flat grey clip, and flat clips of random colours to draw from."""
    if not any(name in INPUT_METHODS for name in request.methods):
        return request
    grey = grey_input(model.spec).to(model.device)
    colours = flat_inputs(model.spec).to(model.device)
    return replace(request, baseline_clips=grey, drawn_clips=colours)


def default_methods(model: Model, layers: Sequence[str], *, memory: StartMemory = NO_MEMORY) -> tuple[str, ...]:
    """Return the default methods, which depend on the head; `memory` keeps the answer."""
    answer = memory.recall(
        ["default methods", *layers], lambda: Remembered({"methods": _methods_for_head(model, layers)})
    )
    return tuple(answer.document["methods"])


def _methods_for_head(model: Model, layers: Sequence[str]) -> tuple[str, ...]:
    """Test the head on a fixed noise clip: `cam` runs only with global pooling and one linear layer."""
    generator = torch.Generator().manual_seed(0)
    noise = scale_pixels(255.0 * torch.rand(1, 3, *model.spec.input_size, generator=generator), model.spec.scaling)
    request = map_request(model, layers, methods=("cam",))
    is_rectified = False
    try:
        with torch_errors(model, 1), Undo() as undo, undo:
            run = open_attribution(model.module, model.input_of(noise).to(model.device), request, undo)
            is_rectified = all(bool((a >= 0).all()) for a in run.activations_of_layers.values())
            run.explain(0)
    except VidcamError:
        return RECTIFIED_METHODS if is_rectified else OTHER_METHODS
    return POOLED_LINEAR_METHODS if is_rectified else OTHER_METHODS


def map_request(
    model: Model, layers: Sequence[str], *, methods: Sequence[str] = DEFAULT_METHODS, check_layout: bool = False
) -> MapRequest:
    """Make a request for maps, with the layout, axes and classes of the model's spec; `prepare` checks the layout."""
    spec = model.spec
    return MapRequest(
        methods=methods,
        layers=layers,
        relevance_layers=() if needs_layer(methods) else layers,
        reshape=reshape_of(spec),
        check_layout=check_layout,
        axes=spec.input_axes,
        activation=spec.activation,
        classes=spec.classes,
    )
