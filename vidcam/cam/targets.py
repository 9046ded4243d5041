"""Targets that are functions of the model's output: the log probability of a caption, a phrase or a word.

A target of `vidcam.explain` may be any function from what the model returned to one score for each clip, (N,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vidcam.cam.outputs import score_tensors
from vidcam.cam.request import ScoreFunction
from vidcam.cam.weights import at_least_float32
from vidcam.errors import InputError, ShapeError

IGNORED = -100
"""A token without a score, such as padding; the value that losses of PyTorch ignore."""


def log_prob(
    tokens: Tensor | Sequence[int] | Sequence[Sequence[int]],
    *,
    words: int | slice | Sequence[int] | None = None,
    start: int = 0,
) -> ScoreFunction:
    """Make a target of the log probability of a caption, or of some of its words, given the words before each.

    The model is teacher-forced: it must be given the same caption, for example with `kwargs={"tokens": tokens}`. The
    score is Σ_l log softmax(logits_l)[token_l]. It is a sum, so its gradient is the sum of the words' gradients.

    Args:
        tokens: (L,) for all clips, or (N, L); -100 is left out, as for padding.
        words: places of the words that count, in `tokens`; a slice is a phrase. None: all.
        start: the row of the output that scores the first token. Row `start + l` scores token l.

    Returns:
        A function from an output with logits (N, L′, V) to scores (N,), float32 at least.

    Raises:
        InputError: tokens are no integers, `words` is out of range, or `start` is negative.
    """
    caption = torch.as_tensor(tokens)
    if caption.ndim not in (1, 2) or caption.dtype not in (torch.int32, torch.int64):
        raise InputError(f"tokens are {tuple(caption.shape)} {caption.dtype}, expected integers (L,) or (N, L)")
    if start < 0:
        raise InputError(f"start is {start}, expected a row of the output, from 0")
    places = torch.arange(caption.shape[-1])
    try:
        places = places if words is None else places[words if isinstance(words, slice) else torch.as_tensor(words)]
    except IndexError as exc:
        raise InputError(f"words are {words}, but the caption has {len(places)} tokens") from exc
    if not places.numel():
        raise InputError(f"words are {words}, none of the {caption.shape[-1]} tokens; pass at least one")
    places = places.reshape(-1)

    def score(output: Any) -> Tensor:
        logits = _logits_of(output)
        rows = start + places.to(logits.device)
        if int(rows.max()) >= logits.shape[1]:
            raise ShapeError(f"the model scores {logits.shape[1]} words, but the caption needs {int(rows.max()) + 1}")
        chosen = caption.to(logits.device)[..., places.to(logits.device)].long().expand(len(logits), -1)
        counts = chosen != IGNORED
        logs = at_least_float32(logits[:, rows]).log_softmax(dim=2)
        own = torch.gather(logs, 2, chosen.masked_fill(~counts, 0).unsqueeze(2)).squeeze(2)
        return own.masked_fill(~counts, 0.0).sum(dim=1)

    return score


def _logits_of(output: Any) -> Tensor:
    """Return the first tensor (N, L, V) of an output."""
    found = [tensor for tensor in score_tensors(output) if tensor.ndim == 3]
    if not found:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in score_tensors(output))
        raise ShapeError(f"the model returns {shapes or type(output).__name__}, expected logits of words (N, L, V)")
    return found[0]
