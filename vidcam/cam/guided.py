"""Guided backpropagation at the input, for clips (arXiv:1412.6806, sec. 3.4): one factor of the `guided-*` maps.

It is the gradient of the score with respect to the clip, but every ReLU passes back only positive gradients at positive
inputs: relu(g) · [x > 0]. The forward pass is unchanged.

ReLU calls are detected in any spelling; see `vidcam.cam.rectify`. A network without ReLUs, or with ReLUs that cannot be
detected, raises an error: its plain gradients would look like a result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.context import ForwardContext
from vidcam.cam.graph import nodes_below, operation
from vidcam.cam.input_score import require_floats
from vidcam.cam.network import (
    Input,
    like_input,
    ordinary,
    read_scores,
    reference,
    require_finite,
)
from vidcam.cam.preserve import Undo, preserve_model, run_uncompiled
from vidcam.cam.rectify import GuidedBackward
from vidcam.cam.request import MapRequest, ScoreTarget, Target, class_target
from vidcam.cam.state import same_state
from vidcam.cam.tracer import LogitTracer
from vidcam.cam.weights import at_least_float32, to_numpy
from vidcam.cam.wrappers import unwrapped
from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats


def guided_gradients(
    model: nn.Module, clip: Tensor | Sequence[Tensor], score: Callable[[Any], Tensor]
) -> Tensor | tuple[Tensor, ...]:
    """Compute ∂score/∂input where every ReLU passes back only positive gradients at positive inputs.

    One forward and one backward pass through the whole network. The model is left exactly as it was.

    Args:
        model: any module; compiled and data-parallel models run without their wrapper, which hides ReLUs.
        clip: (N, C, T, H, W), or a list or tuple of tensors, as the model takes it.
        score: the model's raw output → one number, the sum of one score per clip. (Clips do not mix in evaluation
            mode.) Its own ReLUs are treated as the model's.

    Returns:
        Signed gradients of the clip's shape, float32 or float64. For a list or tuple one for each of its tensors, zeros
        if the score does not depend on it.

    Raises:
        InputError: no ReLU between the clip and the score, or one that cannot be detected; a score that does not depend
            on the clip; a clip that is not floating point.
        ShapeError: the score is not one number.
        NonFiniteError: NaN or infinity in the gradients.
    """
    network = unwrapped(model)
    _require_python(network)
    clips = [clip] if isinstance(clip, Tensor) else list(clip)
    require_floats(clips)
    guide = GuidedBackward()
    with Undo() as undo, undo:
        preserve_model(network, undo)
        torch.set_grad_enabled(True)
        if "torch._dynamo" in sys.modules:  # otherwise nothing is compiled, no function that the model calls either
            run_uncompiled(undo)
        leaves = [part.detach().clone().requires_grad_() for part in clips]
        shown = [leaf.clone() for leaf in leaves]  # clones, because a first layer may work in place
        with guide:  # during backward too, where checkpointed parts run again
            with same_state(network, undo):
                value = score(network(like_input(clip, shown)))
            operations = _operations(value)
            _require_visible(operations)
            gradients: Sequence[Tensor | None] = torch.autograd.grad(value, leaves, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise InputError(_INDEPENDENT)
    if not guide.passed:
        raise InputError(_without_relu(operations))
    filled = tuple(
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, gradients, strict=True)
    )
    for gradient in filled:
        require_finite(gradient, "the guided gradients")
    results = tuple(at_least_float32(gradient.detach()) for gradient in filled)
    return results[0] if isinstance(clip, Tensor) else results


def guided_saliency(model: nn.Module, clip: Input, target: Target, request: MapRequest | None = None) -> Floats:
    """Compute guided backpropagation of a target at the input, without a map.

    One forward and one backward pass through the whole network. Model, clip and target are as in `vidcam.explain`, but
    the target is no function; the request provides contrast, score and activation.

    Returns:
        (N, C, T, H, W) signed; of several pathways the finest.
    """
    request = request or MapRequest()
    if callable(target):
        raise InputError("target is a function, expected classes; use `explain` for functions")

    def score(output: Any, tracer: LogitTracer) -> Tensor:
        found = read_scores(output, tracer, activation=request.activation, classes=request.classes)
        logits, activation = found.logits, request.activation or found.activation or "softmax"
        return (logits * class_target(logits, target, request.contrast, request.score, activation).direction).sum()

    return finest_saliency(unwrapped(model), clip, score, axes=request.axes)


def finest_saliency(
    network: nn.Module, clip: Input, score: Callable[[Any, LogitTracer], Tensor], *, axes: Axes | None = None
) -> Floats:
    """Compute guided backpropagation of a score of the raw output, at the finest pathway, (N, C, T, H, W) signed.

    The network has no wrappers. Axes that are None stand for (N, C, T, H, W).
    """
    with Undo() as undo, undo:
        preserve_model(network, undo)
        shown = ordinary(clip)
        with LogitTracer() as tracer:
            gradients = guided_gradients(network, shown, lambda output: score(output, tracer))
    return to_numpy(reference(gradients, axes))


def saliency_of(context: ForwardContext, target: ScoreTarget, features: Iterable[Tensor]) -> Floats:
    """Compute guided backpropagation of a target in an open forward pass, (N, C, T, H, W) signed."""
    known = tuple(features)

    def score(output: Any, tracer: LogitTracer) -> Tensor:
        if target.function is not None:
            return target.function(output).sum()
        return (context.read(output, tracer, known).logits * target.direction).sum()

    with context.run.recorder.paused():
        return finest_saliency(context.model, context.clip, score, axes=context.axes)


# ---- errors

_INDEPENDENT = "the score does not depend on the clip, expected a differentiable function of the output"

_UNDETECTED = {"Relu", "DifferentiableGraph"}  # torch's own backward of a ReLU, and of a scripted function

_ACTIVATIONS: Mapping[str, str] = MappingProxyType(
    {
        "Celu": "CELU",
        "Elu": "ELU",
        "Gelu": "GELU",
        "Glu": "GLU",
        "Hardsigmoid": "Hardsigmoid",
        "Hardswish": "Hardswish",
        "LeakyRelu": "LeakyReLU",
        "Mish": "Mish",
        "PreluKernel": "PReLU",
        "Sigmoid": "Sigmoid",
        "Silu": "SiLU",
        "Softplus": "Softplus",
        "Tanh": "Tanh",
    }
)
"""Name in autograd's graph → name of the activation function, for the error message."""


def _operations(score: object) -> Collection[str]:
    """Return the names of the operations in the score's graph: 'ReluBackward0' → 'Relu'."""
    if not isinstance(score, Tensor) or score.numel() != 1:
        got = f"shape {tuple(score.shape)}" if isinstance(score, Tensor) else type(score).__name__
        raise ShapeError(f"the score has {got}, expected one number; sum the scores of the batch")
    if not score.requires_grad:
        raise InputError(_INDEPENDENT)
    return {operation(node) for node in nodes_below(score.grad_fn)}


def _require_visible(operations: Collection[str]) -> None:
    if not _UNDETECTED.isdisjoint(operations):
        raise InputError("part of the model is TorchScript or C++, which hides its ReLUs; build it in Python")


def _require_python(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(f"module {name!r} is TorchScript, which hides its ReLUs; build it in Python")


def _without_relu(operations: Collection[str]) -> str:
    others = sorted(name for operation, name in _ACTIVATIONS.items() if operation in operations)
    has = f" (it has {', '.join(others)})" if others else ""
    return f"guided methods need a ReLU between clip and score, found none{has}; choose another method"
