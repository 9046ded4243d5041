"""Record the activations of layers in one forward pass, as leaves of the head's graph.

The trunk runs without a graph. At the first recorded layer the output is detached into a leaf and gradients are
switched on: only the head (everything after the layer) is differentiated, by one plain backward. The network gets a
clone of the output, because an in-place ReLU after the layer would overwrite the recorded tensor.

    recorder = record_layers(model, ["Mixed_5c"], undo)
    scores = model(clip)                                  # (N, K)
    gradients = recorder.gradients(scores[:, 3].sum())    # {"Mixed_5c": (N, D, t, h, w)}
    recorder.activations                                  # {"Mixed_5c": (N, D, t, h, w)}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.graph import has_custom_function, is_graph_piecewise_linear, nodes_below
from vidcam.cam.layers import find_layer, list_layers
from vidcam.cam.layouts import Layouts
from vidcam.cam.network import Input, ordinary, predicted
from vidcam.cam.places import parts_of, read_place, with_parts
from vidcam.cam.preserve import Hook, Undo, preserve_model
from vidcam.cam.reshape import Reshape
from vidcam.cam.runs import LayerRuns
from vidcam.errors import LayerError, VidcamError

MAX_TRIED_LAYERS = 48
"""Number of layers, counted from the last, that are tried when a layer with a gradient is looked for."""


class NoGradientError(LayerError):
    """The score does not depend on the layer, or not on its grid; `explain` names a layer on which it does."""


class ActivationRecorder:
    """The activations of one forward pass, in order of execution; see `record_layers`.

    Args:
        keeps_graph: whether the trunk keeps its graph too, so that activations and gradients can be trained through.
    """

    def __init__(self, *, keeps_graph: bool = False) -> None:
        self._keeps_graph = keeps_graph
        self._runs: dict[str, list[dict[int, Tensor]]] = {}
        self._sequential: set[str] = set()
        self._channels_last: set[str] = set()
        self._maps: Mapping[str, Sequence[Tensor]] | None = None
        self._is_joint = False
        self._is_paused = False

    def use(self, maps: Mapping[str, Sequence[Tensor]], *, is_joint: bool) -> None:
        """Use these maps: name → the tensor, or one for each frame. If joint, some may have no gradient."""
        self._maps, self._is_joint = maps, is_joint

    @property
    def runs(self) -> dict[str, LayerRuns]:
        """Name → what the layer returned, in order of execution."""
        return {
            name: LayerRuns(runs, is_sequential=name in self._sequential, is_channels_last=name in self._channels_last)
            for name, runs in self._runs.items()
        }

    @property
    def frames(self) -> dict[str, int]:
        """Name → number of stacked runs."""
        return {name: len(tensors) for name, tensors in self._tensors.items()}

    @property
    def _tensors(self) -> Mapping[str, Sequence[Tensor]]:
        """Name → the tensors of its map; until `use`, the first tensor of the last run of each layer."""
        return {name: [runs[-1][0]] for name, runs in self._runs.items()} if self._maps is None else self._maps

    @property
    def _flat(self) -> list[Tensor]:
        return [tensor for tensors in self._tensors.values() for tensor in tensors]

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
        """Layer → A, (N, D, ...), as the layer returned it; (N, D, T, ...) if its runs are stacked.

        Detached, unless the graph is kept.
        """
        return {name: _stacked([self._result(each) for each in tensors]) for name, tensors in self._tensors.items()}

    def gradients(self, score: Tensor, direction: Tensor | None = None) -> dict[str, Tensor]:
        """Return layer → g = ∂score/∂A, (N, D, ...). Can be called for several scores of one forward pass.

        Detached, unless the graph is kept.

        Args:
            score: a scalar: the sum of one score per clip. (Clips do not mix in evaluation mode.)
            direction: of the shape of `score`, which may then be any tensor: g = ∂(score · direction)/∂A.

        Raises:
            LayerError: the score does not depend on a recorded layer.
        """
        gradients = self._differentiate(score, create_graph=self._keeps_graph, direction=direction)
        return {name: self._result(gradient) for name, gradient in gradients.items()}

    def _result(self, tensor: Tensor) -> Tensor:
        return tensor if self._keeps_graph else tensor.detach()

    def present_gradients(self, score: Tensor) -> dict[str, Tensor]:
        """Return the gradients of a scalar score at those layers on which it depends, maybe at none."""
        return self._existing_gradients(score) if score.requires_grad else {}

    def products(self, scores: Tensor, directions: Tensor) -> dict[str, Tensor]:
        """Return layer → ∂(scores · direction)/∂A for M directions, (M, N, D, ...), from one batched backward.

        A head with an operation that cannot be batched is differentiated one direction at a time.

        Args:
            scores: (N, K), of this forward pass.
            directions: (M, N, K).

        Raises:
            LayerError: the scores do not depend on a recorded layer.
        """
        try:
            gradients = self._differentiate(scores, create_graph=False, direction=directions, is_batched=True)
        except LayerError:
            raise
        except RuntimeError:
            rows = [self.gradients(scores, direction) for direction in directions]
            return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        return {name: gradient.detach() for name, gradient in gradients.items()}

    def is_piecewise_linear(self, score: Tensor) -> bool | None:
        """Whether the head is piecewise linear in A, so that eq. 16 and 19 of Grad-CAM++ are exact.

        The names of the head's operations tell. If one of them is unknown, the second derivative of the score is
        computed along one fixed direction. None if the head cannot be differentiated twice, or if a custom function's
        backward may hide a dependence on A.
        """
        known = is_graph_piecewise_linear(score, self._flat)
        return self._has_no_second_derivative(score) if known is None else known

    def _has_no_second_derivative(self, score: Tensor) -> bool | None:
        outputs = self._flat
        try:
            gradients = self._differentiate(score, create_graph=True)
            curved = [(g * _direction(g)).sum() for g in gradients.values() if g.requires_grad]
            second_derivatives: Sequence[Tensor | None] = ()
            if curved:
                second_derivatives = torch.autograd.grad(
                    torch.stack(curved).sum(), outputs, retain_graph=True, allow_unused=True
                )
        except LayerError:
            raise
        except RuntimeError:
            return None
        if any(derivative is not None and bool(derivative.any()) for derivative in second_derivatives):
            return False
        return None if has_custom_function(score) else True

    def _differentiate(
        self, score: Tensor, *, create_graph: bool, direction: Tensor | None = None, is_batched: bool = False
    ) -> dict[str, Tensor]:
        if not score.requires_grad:
            raise NoGradientError(_no_gradient(list(self._tensors)))
        gradients = self._existing_gradients(
            score, create_graph=create_graph, direction=direction, is_batched=is_batched
        )
        independent = [name for name in self._tensors if name not in gradients]
        if not independent:
            return gradients
        if not gradients or not self._is_joint:
            raise NoGradientError(_no_gradient(independent))
        like = {name: _stacked(tensors).detach() for name, tensors in self._tensors.items()}
        zeros = {name: torch.zeros_like(a) for name, a in like.items()}
        if is_batched and direction is not None:
            zeros = {name: zero.expand(len(direction), *zero.shape) for name, zero in zeros.items()}
        return {name: gradients.get(name, zero) for name, zero in zeros.items()}

    def _existing_gradients(
        self, score: Tensor, *, create_graph: bool = False, direction: Tensor | None = None, is_batched: bool = False
    ) -> dict[str, Tensor]:
        outputs = self._flat
        if direction is not None and not is_batched:  # a scalar: torch imports sympy (0.5 s) to check `grad_outputs`
            with torch.enable_grad():
                score, direction = (score * direction).sum(), None
        gradients: Sequence[Tensor | None] = torch.autograd.grad(
            score,
            outputs,
            grad_outputs=direction,
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
            is_grads_batched=is_batched,
        )
        remaining, merged = iter(gradients), {}
        for name, tensors in self._tensors.items():
            own = [next(remaining) for _ in tensors]
            like = next((gradient for gradient in own if gradient is not None), None)
            if like is not None:  # the head may leave out some frames
                filled = [torch.zeros_like(like) if gradient is None else gradient for gradient in own]
                merged[name] = _stacked(filled, axis=3 if is_batched else 2)
        return merged

    def hook(self, name: str) -> Hook:
        """Return the hook that records a layer under this name."""

        def record_output(module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
            if self._is_paused or self._maps is not None:
                return None
            parts = parts_of(output)
            if 0 not in parts:
                raise LayerError(
                    f"layer {name!r} ({type(module).__name__}) returns {type(output).__name__}, expected a float "
                    f"tensor first; choose a layer inside it"
                )
            layouts = Layouts()
            layouts.see(module, parts[0])
            if layouts.is_channels_last(parts[0]):
                self._channels_last.add(name)
            recorded = {index: self._recorded(name, part) for index, part in parts.items()}
            torch.set_grad_enabled(True)  # for the head; `preserve_model` restores the caller's mode
            self._runs.setdefault(name, []).append(recorded)
            return with_parts(output, {index: part.clone() for index, part in recorded.items()})

        return record_output

    def _recorded(self, name: str, part: Tensor) -> Tensor:
        """Return a part as a leaf, or itself if it is computed from recorded tensors."""
        earlier = self._names_below(part)
        if name in earlier:
            self._sequential.add(name)
        return part if earlier or (self._keeps_graph and part.requires_grad) else part.detach().clone().requires_grad_()

    def _names_below(self, part: Tensor) -> set[str]:
        """Return the recorded layers that a tensor is computed from."""
        if part.grad_fn is None or not self._runs:
            return set()
        nodes = set(nodes_below(part.grad_fn))
        leaves = {id(getattr(node, "variable", None)) for node in nodes}
        return {
            name
            for name, runs in self._runs.items()
            if any(id(each) in leaves or each.grad_fn in nodes for run in runs for each in run.values())
        }


def record_layers(
    model: nn.Module, layers: Sequence[str], undo: Undo, *, keeps_graph: bool = False
) -> ActivationRecorder:
    """Record the outputs of named layers in the next forward pass, until `undo`.

    Args:
        model: any module; held by `preserve_model`, unless the graph is kept.
        layers: dotted names or places; '/' is read as '.'.
        undo: removes the hooks.
        keeps_graph: whether the trunk keeps its graph too.

    Raises:
        NameNotFoundError: no layer of that name.
        LayerError: a layer does not return a float tensor first.
    """
    modules = {name: find_layer(model, name) for name in dict.fromkeys(read_place(layer).name for layer in layers)}
    recorder = ActivationRecorder(keeps_graph=keeps_graph)
    for name, module in modules.items():
        undo.add_hook(module, recorder.hook(name))
    return recorder


def last_layer_with_gradient(
    model: nn.Module, clip: Input, reshape: Reshape | None, *, like: str, axes: Axes | None = None
) -> str | None:
    """Return the last layer on whose grid the predicted class has a gradient; None if there is none.

    Layers with as many channels as the layer `like` are preferred: the reshape of a transformer also fits inner layers,
    such as queries, keys and values in one tensor.
    """
    try:
        layers = list_layers(model, clip, reshape=reshape, axes=axes)
        names = [layer.name for layer in layers if layer.is_choosable][-MAX_TRIED_LAYERS:]
        with Undo() as undo, undo:
            preserve_model(model, undo)
            recorder = record_layers(model, names, undo)
            scores = predicted(model, ordinary(clip)).logits
            gradients = recorder.present_gradients(scores.amax(dim=1).sum())
    except (VidcamError, RuntimeError):  # an error message must not fail
        return None
    channels = {layer.name: layer.channels for layer in layers}
    usable = [name for name in names if name in gradients and _has_gradient_on_grid(gradients[name], reshape)]
    preferred = [name for name in usable if channels[name] == channels.get(like)]
    return next(reversed(preferred or usable), None)


def _has_gradient_on_grid(gradient: Tensor, reshape: Reshape | None) -> bool:
    return bool((gradient if reshape is None else reshape(gradient)).any())


def _stacked(tensors: Sequence[Tensor], axis: int = 2) -> Tensor:
    """One tensor as it is; the runs of several frames along a new axis of time."""
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors), dim=axis)


def _direction(like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    direction: Tensor = torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like)
    return direction


def _no_gradient(names: Sequence[str]) -> str:
    return (
        f"the score does not depend on layer {', '.join(map(repr, names))} (it is unused, or the gradient is cut by "
        f"no_grad or detach); choose another layer"
    )
