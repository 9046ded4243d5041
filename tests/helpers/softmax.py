"""Heads, scores and products that the softmax form is tested with."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.helpers.nets import HiddenHead, random_clip, seeded
from vidcam.cam.softmax import Products

GRID = (2, 3, 3)


def linear(gradients: Tensor) -> Products:
    """Products of a head with given ∂S^k/∂A, (N, K, D, ...)."""
    return lambda cotangents: torch.einsum("mnk,nk...->mn...", cotangents.to(gradients.dtype), gradients)


def of_head(head: HiddenHead, activations: Tensor) -> tuple[Tensor, Products]:
    """Scores of a head and its products, by autograd."""
    leaf = activations.detach().clone().requires_grad_()
    scores = head.head(leaf)

    def products(cotangents: Tensor) -> Tensor:
        return torch.autograd.grad(scores, leaf, cotangents, retain_graph=True, is_grads_batched=True)[0]

    return scores, products


def hidden_head(*, classes: int = 4, scale: float = 1.0, seed: int = 0) -> HiddenHead:
    head = seeded(HiddenHead, seed, grid=GRID, classes=classes)
    assert isinstance(head, HiddenHead)
    head.double()
    head.out.weight.data *= scale
    return head


def some_activations(clips: int, seed: int = 3) -> Tensor:
    return random_clip(clips, 5, *GRID, seed=seed, dtype=torch.float64).relu()


def scores_of(*probabilities: float) -> Tensor:
    return torch.tensor([probabilities], dtype=torch.float64).log()


def zero() -> Tensor:
    return torch.tensor([0])
