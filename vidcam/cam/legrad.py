"""`legrad`, for comparison (arXiv:2404.03214): how the attention of each block raises the score of its own tokens.

s of a block is the score of the target if the network's tail (norm, pooling, classifier) reads the tokens after that
block, and not after the last one:

    legrad = mean over blocks, heads and rows of (∂s/∂A)⁺, A the attention of the block

The blocks are the children of one list, each with one attention. The tail is run once more for each block but the last:
the blocks work in vain then, and the output of the last one is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.cam.attention_maps import AttentionPass, attention_of
from vidcam.cam.attention_mode import AttentionMode
from vidcam.cam.context import ForwardContext
from vidcam.cam.graph import nodes_below
from vidcam.cam.layer_run import graph_tensors
from vidcam.cam.layers import find_layer
from vidcam.cam.network import Input, ordinary
from vidcam.cam.preserve import Hook, Undo
from vidcam.cam.relevance_layer import run_before_tokens
from vidcam.cam.relevance_pass import Pass
from vidcam.cam.request import MapRequest, ScoreTarget
from vidcam.cam.state import same_state
from vidcam.cam.tracer import LogitTracer
from vidcam.errors import LayerError
from vidcam.maps import Floats


@dataclass(frozen=True, slots=True, eq=False)
class LeGradPass:
    """An open forward pass, and what the tail makes of the tokens of each block.

    Attributes:
        attention: the pass, with A of each block.
        contexts: of each block the output that reads its tokens; the last one is that of the pass.
    """

    attention: AttentionPass
    contexts: Sequence[ForwardContext]

    @property
    def context(self) -> ForwardContext:
        """The pass itself."""
        return self.attention.context

    def map(self, _method: str, scores: Sequence[ScoreTarget]) -> Floats:
        """Return the map of one target per clip, (N, t, h, w), >= 0.

        Args:
            scores: the target in each context.
        """
        raised = [
            self.attention.gradients(score, [a])[0].relu().mean(dim=(1, 2))
            for score, a in zip(scores, self.attention.attention, strict=True)
        ]
        return self.attention.on_grid(torch.stack(raised).mean(dim=0))


def open_legrad(network: nn.Module, clip: Input, request: MapRequest, undo: Undo) -> LeGradPass:
    """Run the network, then its tail for each block; `undo` ends the pass. Other hooks must be paused.

    Raises:
        LayerError: attention is not over all tokens at once, the tokens cannot be placed, or the blocks not be told.
    """
    torch.set_grad_enabled(False)
    mode = AttentionMode(Pass())
    lists = [_Blocks(list(each), mode) for each in network.modules() if isinstance(each, nn.ModuleList | nn.Sequential)]
    with Undo() as inner, inner:
        for each in lists:
            each.watch(inner)
        found = run_before_tokens(network, clip, request, undo, mode)
    attention = attention_of(network, clip, request, undo, found=found, mode=mode, method="legrad")
    blocks = next((each for each in lists if each.hold_all_attention()), None)
    if blocks is None:
        raise LayerError("legrad needs one list of blocks, each with one attention and tokens alike; use token-lrp")
    context = attention.context
    with context.run.recorder.paused():
        earlier = [_reading(context, blocks.modules, tokens, undo) for tokens in blocks.tokens[:-1]]
    return LeGradPass(attention, [*earlier, context])


@dataclass(slots=True, eq=False)
class _Blocks:
    """The children of a list, and what they did in the pass.

    Attributes:
        modules: the children.
        mode: records attention.
        tokens: the output of each call, with its graph.
        spans: of each call the child, and how many attentions had run before and after it.
    """

    modules: Sequence[nn.Module]
    mode: AttentionMode
    tokens: list[Tensor] = field(default_factory=list)
    spans: list[tuple[nn.Module, int, int]] = field(default_factory=list)
    _before: list[int] = field(default_factory=list)

    def watch(self, undo: Undo) -> None:
        """Add hooks to the children."""
        for module in dict.fromkeys(self.modules):
            undo.add_pre_hook(module, lambda *_: self._before.append(len(self.mode.attention)))
            undo.add_hook(module, self._see)

    def _see(self, module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        self.spans.append((module, self._before.pop(), len(self.mode.attention)))
        tokens = _first(output)
        if tokens is None or self.spans[-1][2] == self.spans[-1][1]:
            return None
        self.tokens.append(tokens)
        return _with_first(output, tokens.clone())  # an operation in place may follow

    def hold_all_attention(self) -> bool:
        """Whether each child ran once, in order, with one attention, and no other attention ran."""
        expected = [(module, index, index + 1) for index, module in enumerate(self.modules)]
        shapes = {each.shape for each in self.tokens}
        count = len(self.modules)
        return self.spans == expected and count == len(self.tokens) == len(self.mode.attention) and len(shapes) == 1


def _reading(context: ForwardContext, blocks: Sequence[nn.Module], tokens: Tensor, undo: Undo) -> ForwardContext:
    """Run the network with other tokens after its last block.

    Raises:
        LayerError: it reads more than the tokens after the last block.
    """
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> Any:
        torch.set_grad_enabled(True)
        values = _first(output)
        if values is None:
            return None
        leaves.append(values.detach().requires_grad_())
        return _with_first(output, leaves[-1].clone())

    hooks: list[Hook] = [cut] * (len(blocks) - 1)
    hooks.append(lambda _module, _inputs, output: _replaced(output, tokens))
    with Undo() as inner, inner, torch.enable_grad():
        inner.add_hook(find_layer(context.model, context.run.layers[0].split("#")[0]), cut)
        for block, hook in zip(blocks, hooks, strict=True):
            inner.add_pre_hook(block, _without_graph)
            inner.add_hook(block, hook)
        with LogitTracer() as tracer, same_state(context.model, undo):
            output = context.model(ordinary(context.clip))
    nodes = (node for each in graph_tensors(output, tracer) for node in nodes_below(each.grad_fn))
    read = {id(leaf) for node in nodes if (leaf := getattr(node, "variable", None)) is not None}
    if any(id(leaf) in read for leaf in leaves):
        raise LayerError("legrad needs a network that reads the last block alone; use token-lrp")
    return replace(context, run=replace(context.run, output=output, tracer=tracer))


def _without_graph(*_: object) -> None:
    torch.set_grad_enabled(False)


def _replaced(output: Any, tokens: Tensor) -> Any:
    torch.set_grad_enabled(True)
    return _with_first(output, tokens.clone())


def _first(output: Any) -> Tensor | None:
    """The tokens in what a block returns: a tensor, or the first of a tuple."""
    first = output[0] if isinstance(output, tuple) and output else output
    return first if isinstance(first, Tensor) else None


def _with_first(output: Any, tokens: Tensor) -> Any:
    return tokens if isinstance(output, Tensor) else (tokens, *output[1:])
