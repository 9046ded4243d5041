"""The default layer of class activation maps in a network that goes on in tokens: the last norm before attention.

There every token still has a gradient. Behind the last attention only those have one that the head reads: with a class
token no token of the grid.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vidcam.cam.network import Input, ordinary
from vidcam.cam.preserve import Hook, Undo, preserve_model
from vidcam.cam.relevance_mode import RelevanceMode
from vidcam.cam.relevance_pass import Pass
from vidcam.cam.reshape import Reshape
from vidcam.cam.state import same_state
from vidcam.cam.wrappers import named_layers
from vidcam.errors import LayerError


class TokenStageError(LayerError):
    """The network goes on in tokens; a layer and its reshape would have a map.

    Attributes:
        layer: the last norm before attention; the last block if none is known.
        reshape: its output → (N, D, t, h, w); None if it is not known.
        note: what a result at this layer says.
    """

    def __init__(self, message: str, layer: str, reshape: Reshape | None, note: str) -> None:
        super().__init__(message)
        self.layer, self.reshape, self.note = layer, reshape, note


def last_norm_before_attention(network: nn.Module, clip: Input, shape: tuple[int, ...]) -> str | None:
    """Return the last norm that ran before the last attention; None if none did. It costs one forward pass.

    Args:
        network: any module.
        clip: its input.
        shape: of the tokens that the norm returns.
    """
    state, seen = Pass(is_softmax_constant=True), []

    def after(name: str) -> Hook:
        def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor) and tuple(output.shape) == shape:
                seen.append((name, state.attentions))

        return hook

    with Undo() as undo, undo:
        preserve_model(network, undo)
        torch.set_grad_enabled(False)
        for name, module in named_layers(network).items():
            if name and _is_norm(module):
                undo.add_hook(module, after(name))
        with RelevanceMode(state), same_state(network, undo):
            network(ordinary(clip))
    names = [name for name, _ in seen]
    before = [name for name, attentions in seen if attentions == state.attentions - 1 and names.count(name) == 1]
    return before[-1] if before else None


def _is_norm(module: nn.Module) -> bool:
    """Whether a module has vectors of parameters alone, or is a norm of torch."""
    own = list(module.parameters(recurse=False))
    is_vectors = bool(own) and all(parameter.ndim == 1 for parameter in own) and next(module.children(), None) is None
    return is_vectors or isinstance(module, nn.LayerNorm | nn.RMSNorm)
