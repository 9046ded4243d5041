"""Independent derivations: Grad-CAM++ from three autograd derivatives of exp(score), cell by cell, in float64.

Nothing here uses the closed form of eq. 19, or anything of `vidcam.cam`. Slow on purpose.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ScoreOfActivations = Callable[[Tensor], Tensor]


def three_derivatives(score: ScoreOfActivations, activations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Y′, Y″ and Y‴ of Y = exp(score) with respect to each single activation.

    Args:
        score: activations (D, t, h, w) → scalar.
        activations: A, (D, t, h, w), float64.
    """
    leaf = activations.detach().clone().requires_grad_()
    first = torch.autograd.grad(torch.exp(score(leaf)), leaf, create_graph=True)[0].flatten()
    second, third = torch.zeros_like(first), torch.zeros_like(first)
    for index in range(first.numel()):
        row = torch.autograd.grad(first[index], leaf, create_graph=True)[0].flatten()
        second[index] = row[index].detach()
        third[index] = torch.autograd.grad(row[index], leaf, retain_graph=True)[0].flatten()[index]
    shape = activations.shape
    return first.detach().view(shape), second.detach().view(shape), third.detach().view(shape)


def gradcam_pp_weights(score: ScoreOfActivations, activations: Tensor) -> Tensor:
    """Channel weights by eq. 5 and eq. 10 of arXiv:1710.11063, (D,): α = Y″ / (2 Y″ + ΣA · Y‴), w = Σ α relu(Y′)."""
    first, second, third = three_derivatives(score, activations)
    sums = activations.flatten(1).sum(dim=1).view(-1, 1, 1, 1)
    denominator = 2 * second + sums * third
    alpha = torch.where(second != 0, second / torch.where(second != 0, denominator, 1), 0.0)
    return (alpha * first.clamp(min=0)).flatten(1).sum(dim=1)


def weighted_map(weights: Tensor, activations: Tensor) -> Tensor:
    """relu(Σ_d w_d A_d) with plain loops, (t, h, w)."""
    total = torch.zeros_like(activations[0])
    for weight, channel in zip(weights, activations, strict=True):
        total = total + weight * channel
    return total.clamp(min=0)
