"""The default layer of class activation maps in a network that goes on in tokens: the last norm before attention.

There every token still has a gradient. Behind the last attention only those have one that the head reads: with a class
token no token of the grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vidcam.cam.network import Input, ordinary
from vidcam.cam.preserve import Hook, Undo, preserve_model
from vidcam.cam.probe import TokenOrderError
from vidcam.cam.relevance_mode import RelevanceMode
from vidcam.cam.relevance_pass import Pass
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import Reshape, reshape_from, reshape_words
from vidcam.cam.state import same_state
from vidcam.cam.wrappers import named_layers
from vidcam.errors import LayerError
from vidcam.spec import Layout, TokenGrid

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TokenLayer:
    """A layer of tokens, or of a grid with its channels last.

    Attributes:
        name: dotted name.
        layouts: steps from its output to (N, D, t, h, w).
        frames: T of the clip.
    """

    name: str
    layouts: tuple[Layout, ...]
    frames: int

    @property
    def reshape(self) -> Reshape | None:
        """The reshape that takes these steps."""
        return reshape_from(self.layouts, self.frames)

    @property
    def note(self) -> str:
        """What a result at this layer says."""
        words = reshape_words(self.layouts, self.frames)
        return f"Layer {self.name!r} was chosen, the last norm before attention, with reshape={words}."

    def ordered(self, order: str) -> TokenLayer:
        """Return the layer with its tokens in another order."""
        grids = (replace(each, order=order) if isinstance(each, TokenGrid) else each for each in self.layouts)
        return replace(self, layouts=tuple(grids))


class TokenStageError(LayerError):
    """The network goes on in tokens.

    Attributes:
        found: a layer that has a map; None if none is known.
    """

    def __init__(self, message: str, found: TokenLayer | None) -> None:
        super().__init__(message)
        self.found = found

    def in_order(self, call: Callable[[TokenLayer], Result]) -> Result:
        """Call with the layer that was found; once more if the probe says that its tokens have another order.

        Raises:
            TokenStageError: none was found.
        """
        if self.found is None:
            raise self
        try:
            return call(self.found)
        except TokenOrderError as exc:
            return call(self.found.ordered(exc.order))


def at_layer(request: MapRequest, layer: TokenLayer) -> MapRequest:
    """Name a layer of tokens in a request."""
    return replace(request, layers=(layer.name,), reshape=layer.reshape)


def last_norm_before_attention(
    network: nn.Module, clip: Input, stage: Sequence[int], layouts_of: Callable[[Sequence[int]], tuple[Layout, ...]]
) -> tuple[str, tuple[Layout, ...]] | None:
    """Return the last norm that an attention reads and whose layout is known, and this layout; it costs one forward.

    Args:
        network: any module.
        clip: its input.
        stage: shape of the tokens, (N, L, D), or of the grid with its channels last.
        layouts_of: shape of a norm's output → steps to (N, D, t, h, w); none if they are not known.
    """
    state, runs = Pass(), Counter[str]()
    last: dict[int, tuple[str, Sequence[int]]] = {}  # number of attentions before it → norm, shape

    def after(name: str) -> Hook:
        def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            runs[name] += 1
            shape: Sequence[int] = output.shape if isinstance(output, Tensor) else ()
            if len(shape) == len(stage) and (len(shape) == 3 or shape[-1] == stage[-1]):  # not one of heads
                last[state.attentions] = name, shape

        return hook

    with Undo() as undo, undo:
        preserve_model(network, undo)
        torch.set_grad_enabled(False)
        for name, module in named_layers(network).items():
            if name and _is_norm(module):
                undo.add_hook(module, after(name))
        with RelevanceMode(state), same_state(network, undo):
            network(ordinary(clip))
    last.pop(state.attentions, None)  # no attention ran after it
    known = ((name, layouts_of(shape)) for _, (name, shape) in sorted(last.items(), reverse=True) if runs[name] == 1)
    return next(((name, layouts) for name, layouts in known if layouts), None)


def _is_norm(module: nn.Module) -> bool:
    """Whether a module has vectors of parameters alone, or is a norm of torch."""
    own = list(module.parameters(recurse=False))
    is_vectors = bool(own) and all(parameter.ndim == 1 for parameter in own) and next(module.children(), None) is None
    return is_vectors or isinstance(module, nn.LayerNorm | nn.RMSNorm)
