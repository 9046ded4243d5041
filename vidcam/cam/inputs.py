"""What a model takes: one tensor, or a list of them for networks of several pathways (SlowFast)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidcam.errors import ShapeError

Input = Tensor | Sequence[Tensor]
"""(N, C, T, H, W), or one such tensor for each pathway; (N, C, H, W) for image networks, (N, C, L) for signals."""


def pathways(clip: Input) -> tuple[Tensor, ...]:
    """The tensors of an input.

    Raises:
        ShapeError: not tensors, none, without axes to explain, or of different numbers of clips.
    """
    given: object = clip
    parts: tuple[object, ...] = tuple(given) if isinstance(given, Sequence) else (given,)
    tensors = tuple(part for part in parts if isinstance(part, Tensor) and part.ndim >= 3)
    if not tensors or len(tensors) < len(parts):
        raise ShapeError(
            "the clip must be a tensor (N, C, T, H, W), (N, C, H, W) for an image network, or a list of such, got "
            + (", ".join(_described(part) for part in parts) or "an empty list")
        )
    if len({tensor.shape[0] for tensor in tensors}) > 1 or tensors[0].shape[0] == 0:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise ShapeError(f"every pathway must have the same number of clips, at least one, got {shapes}")
    return tensors


def reference(clip: Input) -> Tensor:
    """The tensor whose axes maps are drawn on: the pathway of the most cells, the fast one of SlowFast."""
    return max(pathways(clip), key=lambda tensor: tensor[0, 0].numel())


def first_clip(clip: Input) -> Input:
    """The same input with N = 1."""
    return clip[:1] if isinstance(clip, Tensor) else _like(clip, [tensor[:1] for tensor in clip])


def ordinary(clip: Input) -> Input:
    """The same input in tensors that autograd may keep: copies of those that were made in inference mode."""
    with torch.inference_mode(mode=False):
        tensors = [tensor.clone() if tensor.is_inference() else tensor for tensor in pathways(clip)]
        return tensors[0] if isinstance(clip, Tensor) else _like(clip, tensors)


def _like(clip: Sequence[Tensor], tensors: list[Tensor]) -> Sequence[Tensor]:
    """A tuple for a tuple: a network may look at that."""
    return tuple(tensors) if isinstance(clip, tuple) else tensors


def _described(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
