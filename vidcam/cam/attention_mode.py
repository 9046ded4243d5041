"""Record the attention of one forward pass, A = softmax(q·k) of each block, also where torch computes it fused.

Values stay the same up to rounding, and gradients are those of the network. Fused attention is computed by its
definition, which holds A in memory: (N, heads, tokens, tokens) for each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vidcam.cam.preserve import FunctionMode
from vidcam.cam.relevance_mode import OPENED, opened
from vidcam.cam.relevance_pass import Pass, is_of_tokens
from vidcam.cam.relevance_rules import SOFTMAXES

_OF_TOKENS = frozenset(
    (functional.linear, functional.layer_norm, torch.layer_norm, functional.rms_norm, torch.rms_norm)
)


class ReachedAttentionError(BaseException):
    """The first attention was reached; no `except Exception` of a network stops this."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores


class AttentionMode(FunctionMode):
    """Record each attention. Enter it before a `LogitTracer`.

    Args:
        state: what was met.
        stops: whether to raise `ReachedAttentionError` at the first attention.

    Attributes:
        attention: A of each call, in order, with its graph.
    """

    def __init__(self, state: Pass, *, stops: bool = False, attention: list[Tensor] | None = None) -> None:
        super().__init__()
        self.state, self._stops = state, stops
        self.attention: list[Tensor] = [] if attention is None else attention

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call through; keep attention."""
        named: dict[str, Any] = dict(kwargs or {})
        if func in OPENED:
            with AttentionMode(self.state, stops=self._stops, attention=self.attention):
                return opened(func)(*args, **named)
        if func in _OF_TOKENS:
            self.state.has_tokens |= is_of_tokens(args[0] if args else named["input"])
        if func is functional.scaled_dot_product_attention:
            return self._fused(*args, **named)
        if func not in SOFTMAXES:
            return func(*args, **named)
        given = args[0] if args else named["input"]
        if given.ndim < 3:
            return func(*args, **named)
        self._see(given)
        return self._kept(func(*args, **named))

    def _see(self, scores: Tensor) -> None:
        self.state.attentions += 1
        if self._stops:
            raise ReachedAttentionError(scores)

    def _kept(self, attention: Tensor) -> Tensor:
        self.attention.append(attention)
        return attention

    def _fused(  # noqa: PLR0917 – torch passes them by position
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,  # noqa: ARG002 – 0 in evaluation mode
        is_causal: bool = False,  # noqa: FBT001, FBT002 – torch's own arguments
        *,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Attention by its definition."""
        if enable_gqa:
            times = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attn_mask is not None:
            is_kept = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -torch.inf) if is_kept else scores + attn_mask
        self._see(scores)
        return self._kept(scores.softmax(dim=-1)) @ value
