"""Grad-CAM++ as others have it: each function makes one mistake that was found in a published tool, and no other.

All take a head, what was captured at the target layer, and the classes, and return raw maps (N, t, h, w). They are here
to be rejected: a test of Grad-CAM++ that lets one of them pass proves little (shapes, finiteness and "the maximum lies
in the right place" let most of them pass).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

Head = Callable[[Tensor], Tensor]
"""Activations (N, D, t, h, w) → logits (N, K)."""

Mistake = Callable[[Head, Tensor, Tensor], Tensor]
"""Head, activations (N, D, t, h, w), classes (N,) → maps (N, t, h, w)."""


def absolute_epsilon(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """1e-6 is added to α's denominator, though g² of a pooled head is 1e-9."""
    g = gradients(head, a, classes)
    return _map(_fraction(g**2, 2 * g**2 + _total(a) * g**3 + 1e-6), g, a)


def mixed_indices(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """Σ(A·g³) where eq. 19 has (ΣA)·g³."""
    g = gradients(head, a, classes)
    return _map(_fraction(g**2, 2 * g**2 + _total(a * g**3)), g, a)


def division_of_a_copy(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """α is divided in place on a boolean-indexed copy, so it stays g²."""
    g = gradients(head, a, classes)
    alpha, mask = g**2, g != 0
    denominator = 2 * g**2 + _total(a) * g**3
    alpha[mask].div_(denominator[mask])
    return _map(alpha, g, a)


def image_axes(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """Axes 2 and 3 are summed over, which in a video are t and h: a weight is left for each column of the picture."""
    g = gradients(head, a, classes)
    alpha = _fraction(g**2, 2 * g**2 + a.sum(dim=(2, 3), keepdim=True) * g**3)
    return ((alpha * g.relu()).sum(dim=(2, 3), keepdim=True) * a).sum(dim=1).relu()


def weights_per_time_step(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """One weight for each channel and time step, from sums over the picture alone."""
    g = gradients(head, a, classes)
    alpha = _fraction(g**2, 2 * g**2 + a.sum(dim=(3, 4), keepdim=True) * g**3)
    return ((alpha * g.relu()).sum(dim=(3, 4), keepdim=True) * a).sum(dim=1).relu()


def third_derivatives_summed(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """The sum that multiplies Y‴ is taken of Y‴ itself, not of A."""
    g = gradients(head, a, classes)
    return _map(_fraction(g**2, 2 * g**2 + _total(g**3) * g**3), g, a)


def alpha_renormalised(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """α is divided by its own sum over the cells with g > 0, which eq. 19 does not do."""
    g = gradients(head, a, classes)
    alpha = _fraction(g**2, 2 * g**2 + _total(a) * g**3)
    return _map(_fraction(alpha, _total(alpha * (g > 0)).expand_as(alpha)), g, a)


def gradient_normalised(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """The gradient is divided by its root mean square before it is squared and cubed; ΣA·g is then another number."""
    g = gradients(head, a, classes)
    g = g / (g.square().mean(dim=(1, 2, 3, 4), keepdim=True).sqrt() + 1e-5)
    return _map(_fraction(g**2, 2 * g**2 + _total(a) * g**3), g, a)


def alpha_left_out(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """Every α is the same: Grad-CAM+ under the name of Grad-CAM++."""
    g = gradients(head, a, classes)
    return _map(torch.full_like(g, 0.5), g, a)


def relu_left_out(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """α·g is summed without relu: the ablation of sec. 7.1 under the name of Grad-CAM++."""
    g = gradients(head, a, classes)
    return (_total(_fraction(g**2, 2 * g**2 + _total(a) * g**3) * g) * a).sum(dim=1).relu()


def exponential_of_the_score(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """The common factor exp(S) is not left out; in float32 it is infinite from S = 89 on."""
    g = gradients(head, a, classes)
    score = head(a.clone()).gather(1, classes.unsqueeze(1)).detach().view(-1, 1, 1, 1, 1)
    return _map(_fraction(g**2, 2 * g**2 + _total(a) * g**3), torch.exp(score) * g, a)


def squares_in_half_precision(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """g² and g³ are taken in float16, where the square of 1e-4 is 0."""
    g = gradients(head, a, classes).half()
    denominator = 2 * g**2 + _total(a.half()) * g**3
    return _map(_fraction(g**2, denominator).float(), g.float(), a)


def probability_as_score(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """The score is the model's softmax output: once p rounds to 1, its gradient is 0 and the map blank."""
    g = gradients(lambda leaf: torch.softmax(head(leaf), dim=1), a, classes)
    return _map(_fraction(g**2, 2 * g**2 + _total(a) * g**3), g, a)


def first_clip_kept(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """Captures gather in a list and the first is read: all clips are explained by the activations of the first."""
    g, first = gradients(head, a, classes), a[:1].expand_as(a)
    return _map(_fraction(g**2, 2 * g**2 + _total(first) * g**3), g, first)


def capture_overwritten(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """The hook keeps the very tensor that an in-place ReLU then rewrites: A after the ReLU, g from before it."""
    captured = a.clone()
    with torch.no_grad():
        head(captured)
    g = gradients(head, a, classes)
    return _map(_fraction(g**2, 2 * g**2 + _total(captured) * g**3), g, captured)


ON_ACTIVATIONS: Mapping[str, Mistake] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            absolute_epsilon,
            mixed_indices,
            division_of_a_copy,
            image_axes,
            weights_per_time_step,
            third_derivatives_summed,
            alpha_renormalised,
            gradient_normalised,
            alpha_left_out,
            relu_left_out,
            exponential_of_the_score,
            squares_in_half_precision,
            probability_as_score,
            first_clip_kept,
        )
    }
)
"""Mistakes that show at a layer after its ReLU."""

BEFORE_AN_INPLACE_RELU: Mapping[str, Mistake] = MappingProxyType({capture_overwritten.__name__: capture_overwritten})
"""Mistakes that show where the head begins with an in-place ReLU and A is signed."""


def gradients(head: Head, a: Tensor, classes: Tensor) -> Tensor:
    """g of each clip's class, with A handed on as a clone: no mistake."""
    leaf = a.detach().clone().requires_grad_()
    score = head(leaf.clone()).gather(1, classes.unsqueeze(1)).sum()
    return torch.autograd.grad(score, leaf)[0]


def _map(alpha: Tensor, g: Tensor, a: Tensor) -> Tensor:
    return (_total(alpha * g.relu()) * a).sum(dim=1).relu()


def _fraction(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator != 0, numerator / denominator, torch.zeros_like(numerator))


def _total(values: Tensor) -> Tensor:
    return values.sum(dim=(2, 3, 4), keepdim=True)
