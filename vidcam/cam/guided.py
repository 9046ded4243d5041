"""Guided backpropagation at the input, for clips (arXiv:1412.6806, sec. 3.4): what `guided-*` maps are multiplied with.

The gradient of the score with respect to the clip, except that every ReLU passes back only what is positive, and only
where its own input was: relu(g) · [x > 0]. The network's values are its own; only the way back is another.

ReLUs are found as they are called, however they are written; see `vidcam.cam.rectify`. A network that has none, or one
where it cannot be seen, is refused: its plain gradients would look like a result.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.cam.graph import nodes_below, operation
from vidcam.cam.network import (
    Input,
    LogitTracer,
    class_scores,
    like_input,
    ordinary,
    pathways,
    reference,
    require_finite,
)
from vidcam.cam.preserve import Undo, preserve_model, run_uncompiled, unwrapped
from vidcam.cam.rectify import GuidedBackward
from vidcam.cam.request import MapRequest, Target, class_target
from vidcam.cam.weights import at_least_float32, to_numpy
from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats


def guided_gradients(
    model: nn.Module, clip: Tensor | Sequence[Tensor], score: Callable[[Any], Tensor]
) -> Tensor | tuple[Tensor, ...]:
    """∂score/∂input where every ReLU passes back only positive gradients at positive inputs.

    One forward and one backward pass through the whole network. The model is left exactly as it was.

    Args:
        model: any module; compiled and data-parallel ones run without their wrapper, where ReLUs can be seen.
        clip: (N, C, T, H, W) as the model takes it, or a list or tuple of tensors for a model that takes one.
        score: the model's raw output → one number, the sum over the batch of one score for each clip, since clips do
            not mix in evaluation. ReLUs of its own count as the model's.

    Returns:
        Signed, of the clip's shape, float32 or float64. For a list or tuple one for each of its tensors, zeros where
        the score does not depend on it.

    Raises:
        InputError: no ReLU lies between the clip and the score, or one where it cannot be seen; the score does not
            depend on the clip; a clip that is not of floating point.
        ShapeError: the score is not one number.
        NonFiniteError: NaN or infinity in the gradients.
    """
    network = unwrapped(model)
    _require_python(network)
    clips = [clip] if isinstance(clip, Tensor) else list(clip)
    _require_floats(clips)
    guide = GuidedBackward()
    with Undo() as undo, undo:
        preserve_model(network, undo)
        torch.set_grad_enabled(True)
        if "torch._dynamo" in sys.modules:  # else nothing was compiled, nor a function that the model calls
            run_uncompiled(undo)
        leaves = [part.detach().clone().requires_grad_() for part in clips]
        shown = [leaf.clone() for leaf in leaves]  # a leaf cannot be changed in place, as a first layer may do
        with guide:  # also going backwards, where checkpointed parts run again
            value = score(network(like_input(clip, shown)))
            operations = _operations(value)
            _require_seen(operations)
            gradients: Sequence[Tensor | None] = torch.autograd.grad(value, leaves, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise InputError(_INDEPENDENT)
    if not guide.passed:
        raise InputError(_without_relu(operations))
    found = tuple(
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, gradients, strict=True)
    )
    for gradient in found:
        require_finite(gradient, "the guided gradients")
    results = tuple(at_least_float32(gradient.detach()) for gradient in found)
    return results[0] if isinstance(clip, Tensor) else results


def guided_saliency(model: nn.Module, clip: Input, target: Target, request: MapRequest | None = None) -> Floats:
    """Guided backpropagation of a target at the input, without any map: one forward and one backward pass through all.

    Args:
        model: as of `vidcam.explain`.
        clip: likewise.
        target: likewise, but for functions.
        request: for its contrast, score and activation.

    Returns:
        (N, C, T, H, W) signed; of several pathways the finest.
    """
    request = request or MapRequest()
    if callable(target):
        raise InputError("guided saliency by itself takes classes, expected no function as the target; use `explain`")

    def score(output: Any, tracer: LogitTracer) -> Tensor:
        scores, found = class_scores(output, tracer)
        activation = request.activation or found or "softmax"
        return (scores * class_target(scores, target, request.contrast, request.score, activation).direction).sum()

    return finest_saliency(unwrapped(model), clip, score)


def finest_saliency(network: nn.Module, clip: Input, score: Callable[[Any, LogitTracer], Tensor]) -> Floats:
    """Guided backpropagation of a score of the raw output at the finest pathway, (N, C, T, H, W) signed."""
    with Undo() as undo, undo:
        preserve_model(network, undo)
        shown = ordinary(clip)
        with LogitTracer() as tracer:
            found = guided_gradients(network, shown, lambda output: score(output, tracer))
    finest = reference(shown)
    tensors = (found,) if isinstance(found, Tensor) else found
    return to_numpy(next(g for g, x in zip(tensors, pathways(shown), strict=True) if x is finest))


# ---- refusals

_INDEPENDENT = "the score does not depend on the clip, expected a differentiable number of the model's output"

_OUT_OF_SIGHT = {"Relu", "DifferentiableGraph"}  # torch's own derivative of a ReLU, and all of a scripted function's

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
"""Torch's names of derivatives → of activation functions, for the sentence that says what a network has."""


def _operations(score: object) -> Collection[str]:
    """Names of the derivatives that the score's graph is made of: 'ReluBackward0' → 'Relu'."""
    if not isinstance(score, Tensor) or score.numel() != 1:
        got = f"shape {tuple(score.shape)}" if isinstance(score, Tensor) else type(score).__name__
        raise ShapeError(f"the score has {got}, expected one number; add up the scores of the batch")
    if not score.requires_grad:
        raise InputError(_INDEPENDENT)
    return {operation(node) for node in nodes_below(score.grad_fn)}


def _require_seen(operations: Collection[str]) -> None:
    if not _OUT_OF_SIGHT.isdisjoint(operations):
        raise InputError(
            "a part of the model runs as TorchScript or C++, whose ReLUs cannot be seen, expected Python; build the "
            "model from its source"
        )


def _require_python(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f"module {name!r} is TorchScript, whose ReLUs cannot be seen, expected Python; build it from its source"
            )


def _require_floats(clips: Sequence[Tensor]) -> None:
    wrong = [str(part.dtype) for part in clips if not part.is_floating_point()]
    if wrong or not clips:
        got = f"of {', '.join(wrong)}" if wrong else "an empty sequence"
        raise InputError(f"the clip is {got}, expected floating point, as the model takes it; scale it first")


def _without_relu(operations: Collection[str]) -> str:
    others = sorted(name for operation, name in _ACTIVATIONS.items() if operation in operations)
    has = f"; it has {', '.join(others)}" if others else ""
    return (
        f"no ReLU lies between the clip and the score, and guided backpropagation is a rule for ReLUs{has}; choose a "
        f"method that is not guided"
    )
