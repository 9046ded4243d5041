"""The layer of relevance: the output of the patch embedding, the last grid before a network goes on in tokens.

There the places are known: the output of a convolution is a grid, (N, D, t, h, w) or one for each frame, and no order
of tokens, no class token and no reshape is needed. Each grid is cut from the graph before it, as a leaf, until a linear
layer or a norm works on tokens. The leaves that the scores reach are the layer; several of them are parallel branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vidcam.cam.axes import AxesWatch
from vidcam.cam.graph import nodes_below
from vidcam.cam.layer_run import LayerRun, graph_tensors, run_layers
from vidcam.cam.layers import carries_map, carry_map
from vidcam.cam.layouts import Layouts
from vidcam.cam.network import Input, ordinary
from vidcam.cam.preserve import Hook, Undo
from vidcam.cam.record import ActivationRecorder
from vidcam.cam.relevance_mode import RelevanceMode
from vidcam.cam.relevance_pass import Pass
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import Reshape, frames
from vidcam.cam.state import same_state
from vidcam.cam.tracer import LogitTracer
from vidcam.cam.wrappers import named_layers


@dataclass(frozen=True, slots=True, eq=False)
class RelevanceRun:
    """A forward pass under the rules.

    Attributes:
        run: the pass, with the layer of relevance.
        reshape: layer output → (N, D, t, h, w); None: it has this shape.
        state: what the rules met.
        is_of_tokens: whether the layer was found before the tokens of a transformer.
    """

    run: LayerRun
    reshape: Reshape | None
    state: Pass
    is_of_tokens: bool


def run_for_relevance(
    network: nn.Module, clip: Input, request: MapRequest, undo: Undo, *, is_softmax_constant: bool
) -> RelevanceRun:
    """Run the network under the rules, with its layer of relevance: that of the request, or the patch embedding.

    A network without attention, or without tokens, has its relevance at the default layer of the other methods, which
    needs one more forward pass.

    Args:
        network: held by `preserve_model`.
        clip: its input.
        request: names the layers of relevance, if the user does, with their reshape.
        undo: removes the hooks.
        is_softmax_constant: see `Pass`.

    Raises:
        LayerError: as `run_layers`.
    """
    torch.set_grad_enabled(False)
    if not request.relevance_layers:
        found = run_before_tokens(network, clip, request, undo, RelevanceMode(Pass(is_softmax_constant)))
        if found is not None:
            return found
        torch.set_grad_enabled(False)
    state = Pass(is_softmax_constant)
    with RelevanceMode(state):
        run = run_layers(network, clip, request.relevance_layers, request.reshape, undo, axes=request.axes)
    return RelevanceRun(run, request.reshape, state, is_of_tokens=False)


class ModeOfPass(Protocol):
    """A mode that notes in its state what it met."""

    state: Pass

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> None: ...


def run_before_tokens(
    network: nn.Module, clip: Input, request: MapRequest, undo: Undo, mode: ModeOfPass
) -> RelevanceRun | None:
    """Run the network in a mode and cut its grids before the tokens; None if it has no attention over tokens.

    Args:
        network: held by `preserve_model`.
        clip: its input.
        request: axes.
        undo: removes the hooks.
        mode: notes attention and tokens.
    """
    state = mode.state
    watch = AxesWatch(network, clip, request.axes, undo)
    grids = _Grids(watch, state)
    for name, module in named_layers(network).items():
        if name:
            undo.add_hook(module, grids.after(name))
    with mode, LogitTracer() as tracer, same_state(network, undo):
        output = network(ordinary(clip))
    grids.is_open = False
    axes = watch.with_rows(output, tracer)
    is_transformer = state.attentions > 0 and state.has_tokens
    reached = grids.reached(graph_tensors(output, tracer)) if is_transformer else ()
    if not reached:
        return None
    recorder = ActivationRecorder()
    recorder.use({each.name: [each.leaf] for each in reached}, is_joint=True)
    folded = {each.frames for each in reached} - {0}
    names = " + ".join(each.name for each in reached)
    notes = (f"Relevance is that of layer {names!r}, the grid before the tokens.", *watch.notes)
    run = LayerRun(output, tracer, recorder, axes, notes, are_pathways=len(reached) > 1)
    return RelevanceRun(run, frames(folded.pop()) if folded else None, state, is_of_tokens=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """A grid that was cut: where, its values as a leaf, and T if its frames are rows of the batch, else 0."""

    name: str
    leaf: Tensor
    frames: int


class _Grids:
    """Cut the grids of a forward pass until the tokens begin."""

    def __init__(self, watch: AxesWatch, state: Pass) -> None:
        self._watch, self._state = watch, state
        self._layouts = Layouts()
        self._cut: list[_Grid] = []
        self.is_open = True

    def after(self, name: str) -> Hook:
        """Return the hook of a layer."""

        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            if not self.is_open or self._state.has_tokens or not isinstance(output, Tensor):
                return None
            if any(output is value for value in inputs):
                return None
            self._layouts.see(module, output)
            count = self._frames(output)
            if count is None or self._layouts.is_channels_last(output):
                return None
            leaf = output.detach().clone() if output._is_view() else output.detach()  # noqa: SLF001
            self._cut.append(_Grid(self._label(name), leaf.requires_grad_(), count))
            torch.set_grad_enabled(True)  # for what follows; `preserve_model` restores the caller's mode
            return leaf.clone()  # an operation in place may follow

        return hook

    def _frames(self, output: Tensor) -> int | None:
        """Return T if an output is a grid for each frame, 0 if it is one for each clip, None if it is no grid."""
        if not output.is_floating_point():
            return None
        if carry_map(output, self._watch.views):
            return 0
        clip = self._watch.views.whole
        if clip.ndim != 5:
            return None
        rows = clip.transpose(1, 2).flatten(0, 1)
        return clip.shape[2] if carries_map(output, rows) else None

    def _label(self, name: str) -> str:
        runs = sum(each.name.split("#")[0] == name for each in self._cut)
        return f"{name}#{runs}" if runs else name

    def reached(self, outputs: Sequence[Tensor]) -> Sequence[_Grid]:
        """Return the grids from which outputs are computed without another between them."""
        nodes = (node for output in outputs for node in nodes_below(output.grad_fn))
        leaves = {id(leaf) for node in nodes if (leaf := getattr(node, "variable", None)) is not None}
        return [each for each in self._cut if id(each.leaf) in leaves]
