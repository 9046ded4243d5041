"""Record activations of layers during one forward pass, as leaves from which the head's graph grows.

The trunk runs without a graph. At the first recorded layer its output is detached into a leaf and gradients are
switched on, so that only the head (what lies above the layer) is differentiated: one plain backward through the head.
The network gets a clone, because an in-place ReLU that follows would rewrite what was recorded.

    with record(model, ["Mixed_5c"]) as recorder:
        scores = model(clip)                                  # (N, K)
        gradients = recorder.gradients(scores[:, 3].sum())        # {"Mixed_5c": (N, D, t, h, w)}
    recorder.activations                                      # {"Mixed_5c": (N, D, t, h, w)}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.cam.graph import has_custom_function, is_graph_piecewise_linear
from vidcam.cam.layers import find_layer, list_layers, tensor_of
from vidcam.cam.network import Input, LogitTracer, class_scores
from vidcam.cam.preserve import Hook, PreservedContext, Undo, preserve_model
from vidcam.cam.reshape import Reshape
from vidcam.errors import LayerError, VidcamError

MOST_TRIED = 48
"""Layers that are tried at once, the last ones, to name one that has a gradient."""


class NoGradientError(LayerError):
    """The score does not depend on the layer, or on no place in it; `explain` names a layer on which it does."""


class ActivationRecorder:
    """What `record` saw: filled by the forward pass, in order of execution."""

    def __init__(self) -> None:
        self._outputs: dict[str, Tensor] = {}
        self._is_paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the model run again without being recorded."""
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False

    @property
    def activations(self) -> dict[str, Tensor]:
        """Layer → A, (N, D, ...) detached, as it was when the layer returned."""
        return {name: output.detach() for name, output in self._outputs.items()}

    def gradients(self, score: Tensor, direction: Tensor | None = None) -> dict[str, Tensor]:
        """Layer → g = ∂score/∂A, (N, D, ...), detached. May be asked for several scores of one forward pass.

        Args:
            score: a scalar; the sum over the batch of one score for each clip, since clips do not mix in evaluation.
            direction: of the same shape as `score`, which may then be any tensor: g = ∂(score · direction)/∂A.

        Raises:
            LayerError: the score does not depend on a recorded layer.
        """
        gradients = self._differentiate(score, create_graph=False, direction=direction)
        return {name: gradient.detach() for name, gradient in gradients.items()}

    def present_gradients(self, score: Tensor) -> dict[str, Tensor]:
        """The same of those layers on which the score, a scalar, depends; of none where it depends on no one."""
        return self._found(score) if score.requires_grad else {}

    def products(self, scores: Tensor, directions: Tensor) -> dict[str, Tensor]:
        """Layer → ∂(scores · direction)/∂A for each of M directions, (M, N, D, ...), from one batched backward.

        Heads with an operation that cannot be batched are gone through one direction at a time.

        Args:
            scores: (N, K), of the one forward pass.
            directions: (M, N, K).

        Raises:
            LayerError: the scores do not depend on a recorded layer.
        """
        try:
            found = self._differentiate(scores, create_graph=False, direction=directions, is_batched=True)
        except LayerError:
            raise
        except RuntimeError:
            each = [self.gradients(scores, direction) for direction in directions]
            return {name: torch.stack([one[name] for one in each]) for name in each[0]}
        return {name: gradient.detach() for name, gradient in found.items()}

    def is_piecewise_linear(self, score: Tensor) -> bool | None:
        """Whether the head has no curvature at A, so that eq. 16 and with it eq. 19 of Grad-CAM++ are exact.

        The operations of the head say so; where one of them is not known, the second derivative of the score is tried
        along one fixed direction. None if the head cannot be differentiated twice, or has a function of its own whose
        backward hides that it depends on A.
        """
        known = is_graph_piecewise_linear(score, self._outputs.values())
        return self._has_no_second_derivative(score) if known is None else known

    def _has_no_second_derivative(self, score: Tensor) -> bool | None:
        outputs = list(self._outputs.values())
        try:
            gradients = self._differentiate(score, create_graph=True)
            curved = [(g * _direction(g)).sum() for g in gradients.values() if g.requires_grad]
            second: Sequence[Tensor | None] = ()
            if curved:
                second = torch.autograd.grad(torch.stack(curved).sum(), outputs, retain_graph=True, allow_unused=True)
        except LayerError:
            raise
        except RuntimeError:
            return None
        if any(curvature is not None and bool(curvature.any()) for curvature in second):
            return False
        return None if has_custom_function(score) else True

    def _differentiate(
        self, score: Tensor, *, create_graph: bool, direction: Tensor | None = None, is_batched: bool = False
    ) -> dict[str, Tensor]:
        if not score.requires_grad:
            raise NoGradientError(_no_gradient(list(self._outputs)))
        alive = self._found(score, create_graph=create_graph, direction=direction, is_batched=is_batched)
        dead = [name for name in self._outputs if name not in alive]
        if dead:
            raise NoGradientError(_no_gradient(dead))
        return alive

    def _found(
        self, score: Tensor, *, create_graph: bool = False, direction: Tensor | None = None, is_batched: bool = False
    ) -> dict[str, Tensor]:
        names, outputs = list(self._outputs), list(self._outputs.values())
        gradients: Sequence[Tensor | None] = torch.autograd.grad(
            score,
            outputs,
            grad_outputs=direction,
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
            is_grads_batched=is_batched,
        )
        return {name: gradient for name, gradient in zip(names, gradients, strict=True) if gradient is not None}

    def hook(self, name: str) -> Hook:
        """The hook that records a layer under that name."""

        def keep(module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
            if self._is_paused:
                return None
            tensor = tensor_of(output)
            if tensor is None:
                raise LayerError(
                    f"layer {name!r} ({type(module).__name__}) returns {type(output).__name__}, expected a floating "
                    f"point tensor, or a tuple that begins with one; choose a layer inside it"
                )
            if name in self._outputs:
                raise LayerError(
                    f"layer {name!r} runs more than once in a forward pass, expected once; choose another layer"
                )
            kept: Tensor = tensor if tensor.requires_grad else tensor.detach().clone().requires_grad_()
            torch.set_grad_enabled(True)  # for the head; `preserve_model` has the caller's mode put back
            self._outputs[name] = kept
            given = kept.clone()
            return given if tensor is output else _with_first(output, given)

        return keep


def record(model: nn.Module, layers: Sequence[str]) -> PreservedContext[ActivationRecorder]:
    """Record the outputs of named layers during the one forward pass that happens inside the context.

    Args:
        model: any module; left exactly as it was, also after an exception.
        layers: dotted names ('/' is taken for '.'), all different.

    Returns:
        A context of an `ActivationRecorder`, filled once the model has run. Scores must be computed, and `gradients`
        called, inside.

    Raises:
        NameNotFoundError: no layer of that name.
        LayerError: a layer does not run exactly once, or does not return one tensor.
    """

    def enter(undo: Undo) -> ActivationRecorder:
        preserve_model(model, undo)
        return record_layers(model, layers, undo)

    return PreservedContext(enter)


def record_layers(model: nn.Module, layers: Sequence[str], undo: Undo) -> ActivationRecorder:
    """As `record`, of a model that `preserve_model` holds, until `undo`."""
    modules = {name: find_layer(model, name) for name in layers}
    recorder = ActivationRecorder()
    for name, module in modules.items():
        undo.add_hook(module, recorder.hook(name))
    return recorder


def last_layer_with_gradient(model: nn.Module, clip: Input, reshape: Reshape | None, *, like: str) -> str | None:
    """The last layer at whose places the predicted class has a gradient; None where none is found.

    One of as many channels as the layer `like` goes before others: what transformers compute on the way, queries, keys
    and values in one, fits the reshape too.
    """
    try:
        layers = list_layers(model, clip, reshape=reshape)
        names = [layer.name for layer in layers if layer.is_choosable][-MOST_TRIED:]
        with Undo() as undo, undo:
            preserve_model(model, undo)
            recorder = record_layers(model, names, undo)
            with LogitTracer() as tracer:
                scores, _ = class_scores(model(clip), tracer)
            found = recorder.present_gradients(scores.amax(dim=1).sum())
    except VidcamError:
        return None
    channels = {layer.name: layer.channels for layer in layers}
    alive = [name for name in names if name in found and _has_place(found[name], reshape)]
    alike = [name for name in alive if channels[name] == channels.get(like)]
    return next(reversed(alike or alive), None)


def _has_place(gradient: Tensor, reshape: Reshape | None) -> bool:
    return bool((gradient if reshape is None else reshape(gradient)).any())


def _with_first(output: Any, first: Tensor) -> Any:
    """The same tuple, named tuple or list with another first element."""
    parts = [first, *output[1:]]
    return output._make(parts) if hasattr(output, "_make") else type(output)(parts)


def _direction(like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    direction: Tensor = torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like)
    return direction


def _no_gradient(names: Sequence[str]) -> str:
    return (
        f"the score does not depend on layer {', '.join(map(repr, names))}: it did not run, nothing of it is read "
        f"further on, or the network cuts the gradient (torch.no_grad, detach); choose another layer"
    )
