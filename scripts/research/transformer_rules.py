"""Relevance by another way, to compare `token-lrp` with: modules whose factors are detached, and plain autograd.

A copy of the network gets norms and activations that do not differentiate their factors, attention written out with a
detached softmax, and products of two values that halve the gradient of each. Then R = z · ∂S/∂z is plain autograd.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.cam.layers import find_layer
from vidcam.models.families import text_classes
from vidcam.models.families.text_classes import VideoTextClasses


class FrozenNorm(nn.Module):
    """A LayerNorm whose standard deviation is a constant."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        weight = self.norm.weight + (type(self.norm).__name__ == "VideoPrismLayerNorm")
        centred = x - x.mean(-1, keepdim=True)
        scale = (x.var(-1, keepdim=True, unbiased=False) + self.norm.eps).rsqrt().detach()
        return torch.as_tensor(centred * scale * weight + self.norm.bias)


class FrozenGate(nn.Module):
    """An activation f as x · f(x)/x, the factor a constant."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Activate."""
        factor = torch.where(x == 0, 0.5, self.activation(x) / torch.where(x == 0, 1.0, x)).detach()
        return torch.as_tensor(x * factor)


class FrozenXClip(nn.Module):
    """X-CLIP, whose last product is of two values: video and texts adapted to it."""

    def __init__(self, given: VideoTextClasses) -> None:
        super().__init__()
        self.network, self.texts = given.network, given.texts

    def forward(self, clip: Tensor) -> Tensor:
        """Return logits (N, K)."""
        network = self.network
        frames = network.vision_model(pixel_values=clip.flatten(0, 1))
        classes = network.visual_projection(frames.pooler_output).unflatten(0, clip.shape[:2])
        patches = network.prompts_visual_layernorm(frames.last_hidden_state[:, 1:]) @ network.prompts_visual_projection
        texts = self.texts.expand(len(clip), -1, -1)
        texts = texts + network.prompts_generator(texts, patches.unflatten(0, clip.shape[:2]).mean(dim=1))
        video, texts = unit(network.mit(classes).pooler_output)[:, None], unit(texts)
        halves = (texts.detach() * video).sum(-1) / 2 + (texts * video.detach()).sum(-1) / 2
        return torch.as_tensor(network.logit_scale.exp() * halves)


def unit(x: Tensor, dim: int = -1) -> Tensor:
    """Divide by the length, a constant."""
    return torch.as_tensor(x / x.norm(dim=dim, keepdim=True).detach())


def relevance_by_hand(network: nn.Module, clip: Tensor, layer: str) -> np.ndarray[Any, Any]:
    """Return the signed relevance of class 1 at the patch embedding, (N, t, h, w).

    Args:
        network: left as it is.
        clip: (N, T, C, H, W), or as the network takes it.
        layer: name of the patch embedding.
    """
    copied: nn.Module = copy.deepcopy(network)
    copied = FrozenXClip(copied) if isinstance(copied, VideoTextClasses) else copied
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.LayerNorm):
                setattr(parent, name, FrozenNorm(child))
            elif "GELU" in type(child).__name__:
                setattr(parent, name, FrozenGate(child))
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    find_layer(copied, layer).register_forward_hook(keep)
    with constant_attention():
        output = copied(clip)
        getattr(output, "logits", output).flatten(1)[:, 1].sum().backward()
    (z,) = kept
    assert z.grad is not None
    values: np.ndarray[Any, Any] = (z * z.grad).sum(1).detach().numpy()
    return values if values.ndim == 4 else values.reshape(len(clip), -1, *values.shape[1:])


@contextmanager
def constant_attention() -> Iterator[None]:
    """Write attention out and detach each softmax, and each length that the text classes divide by, for a while."""
    changes: list[tuple[Any, str, Callable[..., Any]]] = [
        (functional, "scaled_dot_product_attention", _attention),
        (text_classes, "normalize", unit),
    ]
    owners: tuple[Any, ...] = (functional, torch, Tensor)
    changes += [(owner, "softmax", _detached(owner.softmax)) for owner in owners]
    originals = [getattr(owner, name) for owner, name, _ in changes]
    for owner, name, changed in changes:
        setattr(owner, name, changed)
    try:
        yield
    finally:
        for (owner, name, _), original in zip(changes, originals, strict=True):
            setattr(owner, name, original)


def _detached(function: Any) -> Callable[..., Tensor]:
    def call(*args: Any, **kwargs: Any) -> Tensor:
        return torch.as_tensor(function(*args, **kwargs)).detach()

    return call


def _attention(
    query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor | None = None, scale: float | None = None, **_: Any
) -> Tensor:
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ value
