"""Maps of attention, for comparison: `attention-cam` (arXiv:2103.15679) and `rollout` (arXiv:2005.00928).

Both follow attention from the tokens that the score reads back to those of the patches, through all blocks:

    attention-cam   R = I, then R + mean over heads of (A · ∂S/∂A)⁺ · R for each block
    rollout         R = I, then (I + mean over heads of A) / 2 · R for each block, the same for every class

An attention of other rows than columns, such as that of an attentive pooler, replaces R. They need A of all tokens at
once. Which token is which cell is measured: cells are changed before the first attention, and its tokens looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.cam.attention_mode import AttentionMode, ReachedAttentionError
from vidcam.cam.context import ForwardContext
from vidcam.cam.layers import find_layer
from vidcam.cam.network import Input, ordinary, require_finite
from vidcam.cam.preserve import NoAutocast, Undo
from vidcam.cam.relevance_layer import RelevanceRun, run_before_tokens
from vidcam.cam.relevance_pass import Pass
from vidcam.cam.request import MapRequest, ScoreTarget
from vidcam.cam.state import same_state
from vidcam.cam.weights import at_least_float32, to_numpy
from vidcam.errors import LayerError
from vidcam.maps import Floats

USES_GRADIENT: Mapping[str, bool] = MappingProxyType({"attention-cam": True, "rollout": False})
"""Method → whether attention is weighted by the gradient of the score."""

_SAME = 1e-3
"""A token has changed if its score differs by more than this share of the largest difference."""


@dataclass(frozen=True, slots=True, eq=False)
class AttentionPass:
    """An open forward pass whose attention was recorded.

    Attributes:
        context: the pass; its layer is the patch embedding.
        attention: A of each block, (N, heads, rows, columns) or (N · heads, rows, columns), with its graph.
        cells: of each token (L,) its cell, -1 for a class token.
    """

    context: ForwardContext
    attention: Sequence[Tensor]
    cells: Tensor

    @property
    def contexts(self) -> tuple[ForwardContext]:
        """The pass, whose score the map reads."""
        return (self.context,)

    def map(self, method: str, scores: Sequence[ScoreTarget]) -> Floats:
        """Return the map of one target per clip, (N, t, h, w), >= 0."""
        with NoAutocast(self.context.shown.device.type):
            uses_gradient = USES_GRADIENT[method]
            gradients = self.gradients(scores[-1], self.attention if uses_gradient else self.attention[-1:])
            attention = [_by_clip(each.detach(), len(self.context.shown)) for each in self.attention]
            followed = _followed(attention, gradients if uses_gradient else None)
            reads = (gradients[-1] != 0).flatten(3).any(dim=3).any(dim=1).to(followed)  # (N, rows)
            tokens = (reads[:, :, None] * followed).sum(dim=1) / reads.sum(dim=1, keepdim=True).clamp(min=1)
        return self.on_grid(tokens)

    def on_grid(self, tokens: Tensor) -> Floats:
        """Put values of tokens (N, L) in the places of the cells, (N, t, h, w)."""
        places = torch.empty_like(tokens[:, self.cells >= 0])
        places[:, self.cells[self.cells >= 0]] = tokens[:, self.cells >= 0]
        (layer, a), *_ = self.context.run.recorder.activations.items()
        return to_numpy(places.reshape(len(places), *self.context.features(layer, a).shape[2:]))

    def gradients(self, score: ScoreTarget, attention: Sequence[Tensor]) -> list[Tensor]:
        """Return ∂S/∂A of some blocks, (N, heads, rows, columns).

        Raises:
            NonFiniteError: one is not finite.
        """
        with torch.enable_grad():
            total = (score.score * score.direction).sum()
        gradients = torch.autograd.grad(
            total, list(attention), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        require_finite(torch.stack([each.sum() for each in gradients]), "the gradients of attention")
        return [at_least_float32(_by_clip(each, len(self.context.shown))) for each in gradients]


def _followed(attention: Sequence[Tensor], gradients: Sequence[Tensor] | None) -> Tensor:
    """Follow attention through all blocks, (N, rows of the last one, tokens)."""
    first = attention[0]
    followed = torch.eye(first.shape[-1], dtype=at_least_float32(first).dtype, device=first.device)
    followed = followed.expand(len(first), -1, -1)
    for index, given in enumerate(attention):
        a = at_least_float32(given)
        mean = (a if gradients is None else (a * gradients[index]).relu()).mean(dim=1)
        passed = mean @ followed
        if a.shape[-2] != a.shape[-1]:
            followed = passed
        else:
            followed = followed + passed if gradients is not None else (followed + passed) / 2
    return followed


def open_attention(network: nn.Module, clip: Input, request: MapRequest, undo: Undo, *, method: str) -> AttentionPass:
    """Run the network and record its attention; `undo` ends the pass. Other hooks must be paused.

    Raises:
        LayerError: attention is not over all tokens at once, or the tokens cannot be placed.
    """
    torch.set_grad_enabled(False)
    mode = AttentionMode(Pass())
    found = run_before_tokens(network, clip, request, undo, mode)
    return attention_of(network, clip, request, undo, found=found, mode=mode, method=method)


def attention_of(
    network: nn.Module,
    clip: Input,
    request: MapRequest,
    undo: Undo,
    *,
    found: RelevanceRun | None,
    mode: AttentionMode,
    method: str,
) -> AttentionPass:
    """Return a pass that ran in a mode, as `open_attention`."""
    if found is None or len(found.run.layers) != 1:
        raise LayerError(f"{method} needs a transformer with one patch embedding; choose another method")
    context = ForwardContext(network, clip, replace(request, reshape=found.reshape, check_layout=False), found.run)
    (grid,) = (context.features(name, a).shape[2:] for name, a in found.run.recorder.activations.items())
    _require_joint(mode.attention, prod(grid), method)
    with found.run.recorder.paused():
        cells = _placed(context, found, tuple(grid), undo)
    if cells is None:
        raise LayerError(f"{method} cannot tell the places of the tokens; use token-lrp")
    return AttentionPass(context, mode.attention, cells)


def _by_clip(attention: Tensor, clips: int) -> Tensor:
    """(N · heads, rows, columns) → (N, heads, rows, columns)."""
    shape = attention.shape
    return attention if attention.ndim == 4 else attention.reshape(clips, -1, *shape[-2:])


def _require_joint(attention: Sequence[Tensor], cells: int, method: str) -> None:
    """Check that all tokens attend to all.

    Raises:
        LayerError: they do not.
    """
    rows = attention[0].shape[-1] if attention else 0
    is_joint = cells <= rows <= 2 * cells
    for each in attention:
        is_joint = is_joint and each.shape[-1] == rows
        rows = each.shape[-2]
    if not is_joint:
        shape = tuple(attention[0].shape) if attention else ()
        raise LayerError(f"{method} needs attention of all tokens at once, here it is {shape}; use token-lrp")


def _placed(context: ForwardContext, found: RelevanceRun, grid: tuple[int, ...], undo: Undo) -> Tensor | None:
    """Return the cell of each token; None if a token has parts of several cells, or a cell none.

    The cells' numbers are written in binary. For each digit the cells that have it are changed, and the tokens that
    change have it too: about log₂ of the number of cells runs as far as the first attention.
    """
    count = prod(grid)
    numbers = torch.arange(count)
    digits = max(1, (count - 1).bit_length())
    before = _first_scores(context, found, torch.zeros(grid), undo)
    everything = _difference(before, _first_scores(context, found, torch.ones(grid), undo))
    changed = everything > _SAME * everything.max()
    cells = torch.zeros_like(changed, dtype=torch.int64)
    for digit in range(digits):
        mask = ((numbers >> digit) & 1).float().reshape(grid)
        difference = _difference(before, _first_scores(context, found, mask, undo))
        cells += (difference > _SAME * everything.max()).long() << digit
    cells[~changed] = -1
    return cells if torch.equal(cells[changed].sort().values, numbers.to(cells)) else None


def _difference(before: Tensor, after: Tensor) -> Tensor:
    """How much each token's score with itself differs, (L,), at most over clips and heads."""
    own = (each.diagonal(dim1=-2, dim2=-1).flatten(0, -2) for each in (before, after))
    first, second = own
    return (first - second).abs().amax(dim=0)


def _first_scores(context: ForwardContext, found: RelevanceRun, mask: Tensor, undo: Undo) -> Tensor:
    """Run as far as the first attention, with the cells of a mask (t, h, w) changed; return its scores."""
    name = found.run.layers[0].split("#")[0]

    def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        is_folded = found.reshape is not None
        own = mask.to(output)
        shaped = own[:, None].repeat(len(output) // len(own), 1, 1, 1) if is_folded else own[None, None]
        return torch.where(shaped > 0, output.std() - output, output)

    with Undo() as inner, inner, torch.no_grad():
        inner.add_hook(find_layer(context.model, name), hook)
        try:
            with AttentionMode(Pass(), stops=True), same_state(context.model, undo):
                context.model(ordinary(context.clip))
        except ReachedAttentionError as exc:
            return exc.scores
    raise LayerError("no attention was reached")
