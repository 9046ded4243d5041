"""Operations with their ordinary values, but with the gradient of a linear operation: what is constant is in each name.

A network of linear operations whose factors are constants has Σ z · ∂S/∂z + (terms of biases) = S at every layer. These
are the parts that make a network such a one. Each runs the network's own call, so that values do not change by a bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from vidcam.cam.weights import at_least_float32

Call = Callable[[Tensor], Tensor]


def with_scaled_gradient(values: Tensor, factor: float) -> Tensor:
    """Return the values; their gradient is multiplied by a factor."""
    result: Tensor = _ScaledGradient.apply(values, factor)
    return result


def with_constant_gate(values: Tensor, call: Call, slope: float) -> Tensor:
    """Return y = call(x), elementwise, taken as x times the constant y / x.

    Args:
        values: x, any shape.
        call: the activation, with call(0) = 0.
        slope: the factor where x = 0.
    """
    result: Tensor = _ConstantGate.apply(values, call, slope)
    return result


def with_constant_deviation(
    values: Tensor, call: Call, *, groups: tuple[int, ...], weight: Tensor | None, eps: float, is_centred: bool = True
) -> Tensor:
    """Return a normalisation of x, taken as (x - mean) times a constant, or as x times a constant.

    Args:
        values: x, any shape.
        call: the normalisation.
        groups: shape of x as groups, (..., M): each group is normalised over its last axis.
        weight: what the normalised values are multiplied by; its shape fits x.
        eps: added to the variance.
        is_centred: whether the mean is subtracted.
    """
    norm = _Norm(call, groups, eps, is_centred=is_centred)
    result: Tensor = _ConstantDeviation.apply(values, norm, weight)
    return result


@dataclass(frozen=True, slots=True)
class _Norm:
    """A normalisation, as in `with_constant_deviation`."""

    call: Call
    groups: tuple[int, ...]
    eps: float
    is_centred: bool

    def factor(self, values: Tensor) -> Tensor:
        """Return 1 / deviation of each group, (..., 1)."""
        grouped = at_least_float32(values).reshape(self.groups)
        if self.is_centred:
            squares = grouped.var(dim=-1, correction=0, keepdim=True)
        else:
            squares = grouped.square().mean(dim=-1, keepdim=True)
        return torch.rsqrt(squares + self.eps)


class _ScaledGradient(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


class _ConstantGate(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, call: Call, slope: float) -> Tensor:
        result = call(values)
        ctx.save_for_backward((result / values).masked_fill_(values == 0, slope))
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * ctx.saved_tensors[0], None, None


class _ConstantDeviation(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, norm: _Norm, weight: Tensor | None) -> Tensor:
        ctx.save_for_backward(norm.factor(values).to(values.dtype), weight)
        ctx.norm = norm
        return norm.call(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        factor, weight = ctx.saved_tensors
        weighted = gradient if weight is None else gradient * weight
        grouped = weighted.reshape(ctx.norm.groups) * factor
        if ctx.norm.is_centred:
            grouped = grouped - grouped.mean(dim=-1, keepdim=True)
        return grouped.reshape(gradient.shape), None, None
