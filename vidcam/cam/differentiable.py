"""Maps that a network can be trained through: their gradients reach its weights.

A map is a function of the activations A and of the gradients g = ∂score/∂A, and both depend on the weights. So g is
computed with `create_graph`, and a loss of the map has second derivatives of the score. Where the head is global
pooling and one linear layer, g is the layer's weights, and the second derivatives cost nothing.

    found = differentiable_maps(network, clips, labels, methods="gradcam++", layer="layer4")
    loss = cross_entropy(found.logits, labels) + 0.01 * (found.maps["gradcam++"] - other).square().sum()
    loss.backward()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vidcam.cam.arguments import hand_over
from vidcam.cam.checkpoints import run_without_checkpoints
from vidcam.cam.layer_run import chosen_layers
from vidcam.cam.layers import layer_names, require_map
from vidcam.cam.methods import PAIR_METHODS, LayerData, canonical_methods
from vidcam.cam.network import ordinary, read_scores, reference, require_rows
from vidcam.cam.preserve import NoAutocast, Undo, is_compiled, preserve_model, run_uncompiled
from vidcam.cam.record import record_layers
from vidcam.cam.request import ScoreTarget, class_target
from vidcam.cam.reshape import Reshape
from vidcam.cam.state import same_state
from vidcam.cam.subject import Subject, read_subject
from vidcam.cam.tracer import LogitTracer
from vidcam.cam.wrappers import require_explainable, unwrapped
from vidcam.errors import InputError, LayerError, ShapeError
from vidcam.spec import SpecifiedModel

TRAINABLE_METHODS = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")
"""Methods that need A and g alone and have no pole."""

Targets = int | Sequence[int] | Tensor | None
"""A class, one for each clip, weights of the classes (N, K) of floats, or None for the predicted class."""


@dataclass(frozen=True, slots=True, eq=False)
class DifferentiableMaps:
    """Maps of one forward pass, with their graph.

    Attributes:
        maps: method → raw map (N, t, h, w), >= 0, float32 at least, on the grid of the layer.
        logits: (N, K), float32 at least: the same pass serves the classification loss.
        activations: A, (N, D, t, h, w), as the layer returned it.
        layer: dotted name of the layer.
    """

    maps: Mapping[str, Tensor]
    logits: Tensor
    activations: Tensor
    layer: str


def differentiable_maps(
    model: nn.Module | SpecifiedModel,
    clips: Any,
    targets: Targets = None,
    *,
    methods: str | Iterable[str] = "gradcam",
    layer: str | nn.Module | None = None,
    reshape: Reshape | None = None,
    score_scale: float = 1.0,
    create_graph: bool = True,
) -> DifferentiableMaps:
    """Make maps that can be trained through, from one forward pass, which also returns the logits.

    The network runs as it is: in training mode if it is in training mode, under the caller's autocast, inside its
    `DistributedDataParallel`. Batch normalisation behind the layer mixes the clips of a batch in training mode. Nothing
    stays on the network: no hook, no flag, no `.grad`. Compiled parts run uncompiled, because compiled code cannot be
    differentiated twice, attention runs without its fused kernels for the same reason, and checkpointed parts keep
    their activations.

    Args:
        model: a module, or a `Model`. Its output may be all that `vidcam.explain` reads.
        clips: (N, C, T, H, W), as the model takes it.
        targets: a class, one for each clip, or None for the predicted class; or weights of the classes, (N, K) of
            floats: the score of a clip is their product with the logits, such as the sum over the present classes.
        methods: one or several of `gradcam`, `gradcam+`, `gradcam++`, `hirescam` and `layercam`; empty for none: only
            logits and activations, without a backward pass.
        layer: dotted name or module of the layer, after its ReLU. It runs once in a pass. None: that of a `Model`, else
            the default of `vidcam.explain`, which costs a forward pass each time.
        reshape: layer output → (N, D, t, h, w), as in `vidcam.explain`.
        score_scale: λ of EQ 12, as in `vidcam.explain`.
        create_graph: False for maps that nothing is trained through, as a teacher's: evaluation mode, no graph of the
            trunk, and all results are detached.

    Raises:
        InputError: gradients are off, an unknown method, or a class out of range.
        LayerError: the layer does not run once, has no map, or the score does not depend on it.
        ShapeError: weights of classes that are not (N, K).
    """
    names = canonical_methods(methods) if methods else ()
    if not set(names) <= set(TRAINABLE_METHODS):
        raise InputError(f"methods is {', '.join(names)}; maps with a graph: {', '.join(TRAINABLE_METHODS)}")
    if create_graph and not torch.is_grad_enabled():
        raise InputError("gradients are off here; call it outside of no_grad, or pass create_graph=False")
    subject = read_subject(model, clips)
    require_explainable(unwrapped(subject.network))
    reshape = reshape or subject.reshape
    options = _LayerOptions(_layer(subject, layer, reshape), reshape, score_scale)
    with Undo() as undo, undo:
        return _recorded(subject, targets, names, options, undo, create_graph=create_graph)


@dataclass(frozen=True, slots=True)
class _LayerOptions:
    """Layer, reshape and scale of the score."""

    layer: str
    reshape: Reshape | None
    score_scale: float

    def features(self, output: Tensor) -> Tensor:
        return output if self.reshape is None else self.reshape(output)


def _layer(subject: Subject, layer: str | nn.Module | None, reshape: Reshape | None) -> str:
    """Return the name of the layer: the named one, that of the specification, or the default."""
    network = unwrapped(subject.network)
    names = layer_names(network, subject.layer if layer is None else layer)
    names = names or chosen_layers(network, subject.clip, (), reshape)[0]
    if len(names) > 1 or "#" in names[0] or "[" in names[0]:
        raise LayerError(f"the layers are {', '.join(names)}; pass layer=, one that runs once and returns a tensor")
    return names[0]


def _recorded(
    subject: Subject,
    targets: Targets,
    methods: Sequence[str],
    options: _LayerOptions,
    undo: Undo,
    *,
    create_graph: bool,
) -> DifferentiableMaps:
    """Run the network with the layer recorded, and make the maps."""
    inside = unwrapped(subject.network)
    if create_graph:
        _run_plainly(subject.network, undo)
    else:
        preserve_model(inside, undo)
        same_state(inside, undo).__enter__()  # until `undo`
    hand_over(inside, subject.arguments, undo)
    recorder = record_layers(inside, [options.layer], undo, keeps_graph=create_graph)
    # fused kernels have no second derivative
    kernels = sdpa_kernel(SDPBackend.MATH) if create_graph else nullcontext()
    with LogitTracer() as tracer, kernels:
        output = (subject.network if create_graph else inside)(ordinary(subject.clip))
    runs = recorder.runs.get(options.layer)
    if runs is None or len(runs.outputs) != 1:
        count = 0 if runs is None else len(runs.outputs)
        raise LayerError(f"layer {options.layer!r} runs {count} times in a forward pass; choose one that runs once")
    clip = reference(subject.clip)
    activations = options.features(recorder.activations[options.layer])
    require_map(activations, options.layer, clip)
    logits = read_scores(output, tracer, activation=subject.activation, classes=subject.classes).logits
    require_rows(logits, len(clip))
    maps: Mapping[str, Tensor] = {}
    with NoAutocast(clip.device.type):
        if methods:
            target = _score_target(logits, targets)
            gradients = options.features(recorder.gradients(target.score, target.direction)[options.layer])
            maps = _maps(activations, gradients, methods, options.score_scale)
    kept = logits if create_graph else logits.detach()
    return DifferentiableMaps(MappingProxyType(dict(maps)), kept, activations, options.layer)


def _run_plainly(network: nn.Module, undo: Undo) -> None:
    """Run compiled parts uncompiled and checkpointed parts once; nothing else changes."""
    if any(is_compiled(module) for module in network.modules()):
        run_uncompiled(undo)
    run_without_checkpoints(undo)


def _score_target(logits: Tensor, targets: Targets) -> ScoreTarget:
    if not isinstance(targets, Tensor) or not targets.is_floating_point():
        indices: Any = targets
        return class_target(logits, indices, None, "logit", "none")
    if targets.shape != logits.shape:
        raise ShapeError(f"targets is {tuple(targets.shape)}, expected (N,) or (N, K) = {tuple(logits.shape)}")
    return ScoreTarget(logits, targets.to(logits))


def _maps(activations: Tensor, gradients: Tensor, methods: Sequence[str], score_scale: float) -> dict[str, Tensor]:
    def nothing() -> Any:
        raise InputError("this method needs more than activations and gradients")

    data = LayerData(activations, gradients, score_scale, nothing, nothing, nothing)
    return {name: PAIR_METHODS[name](data) for name in methods}
