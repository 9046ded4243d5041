"""Detect ReLU calls and change their backward to that of guided backpropagation: relu(g) · [x > 0].

Calls are detected, not modules: `nn.ReLU` in place or not, `F.relu`, `torch.relu`, `Tensor.relu_`, `clamp(min=0)`,
`Threshold(0, 0)`, `maximum(x, zeros)`. `ReLU6`, `Hardtanh(0, b)` and `clamp(0, b)` also pass nothing at their upper
bound. Leaky ReLUs keep their own backward. Not detected: a ReLU written as arithmetic (`x * (x > 0)`) or inside a
custom `torch.autograd.Function`, and calls made in C++ or in other threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vidcam.cam.preserve import FunctionMode


class _Gate(NamedTuple):
    """A call that is a ReLU: its input, its upper bound, and whether torch itself saves the output."""

    input: Tensor
    upper: float | Tensor | None = None
    keeps_output: bool = False


class GuidedBackward(FunctionMode):
    """While active, every ReLU that is called passes back only positive gradients at positive inputs.

    Attributes:
        passed: number of ReLUs that gradients have crossed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        gate = _gate(func, args, named)
        if gate is None or not gate.input.requires_grad or not torch.is_grad_enabled():
            return func(*args, **named)
        return _Rectify.apply(gate.input, gate, lambda: func(*args, **named), self)


class _Rectify(torch.autograd.Function):
    """The call's own result; backward returns relu(g) where the input was inside the bounds. In place if the call is.

    Saves no more memory than torch does: for a ReLU its output, which the next layer saves too; for a clamp, where
    torch saves the input, one byte per value, so that later code may still change the output in place.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, gate: _Gate, call: Callable[[], Tensor], guide: GuidedBackward) -> Tensor:
        output = call()
        if output is x:
            context.mark_dirty(x)
        context.save_for_backward(output if gate.keeps_output else _closed(output, gate.upper))
        context.guide = guide
        return output

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        context.guide.passed += 1
        (saved,) = context.saved_tensors
        closed = saved if saved.dtype == torch.bool else _closed(saved, None)
        return gradient.clamp(min=0).masked_fill_(closed, 0), None, None, None


def _closed(output: Tensor, upper: float | Tensor | None) -> Tensor:
    """Positions where nothing is passed back: the output is at a bound."""
    return output <= 0 if upper is None else (output <= 0) | (output >= upper)


def _gate(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Gate | None:
    name = getattr(func, "__name__", "").partition(".")[0].removesuffix("_")  # 'relu_.default' → 'relu'
    if name not in _READERS or "out" in kwargs:
        return None
    named = dict(kwargs)
    first = (named.pop("input"),) if "input" in named else ()
    return _READERS[name](*first, *args, **named)


def _read_relu(x: Tensor, *_: Any, **__: Any) -> _Gate:
    return _Gate(x, keeps_output=True)


def _read_relu6(x: Tensor, *_: Any, **__: Any) -> _Gate:
    return _Gate(x, upper=6.0)


def _read_hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0, *_: Any, **__: Any) -> _Gate | None:
    return _Gate(x, upper=max_val) if min_val == 0 else None


def _read_threshold(x: Tensor, threshold: float, value: float, *_: Any, **__: Any) -> _Gate | None:
    return _Gate(x) if threshold == 0 and value == 0 else None


def _read_clamp(
    x: Tensor,
    min: float | Tensor | None = None,  # noqa: A002 – torch's own name
    max: float | Tensor | None = None,  # noqa: A002
) -> _Gate | None:
    return _Gate(x, upper=max) if _is_zero(min) else None


def _read_maximum(x: Tensor, other: object = None, *_: Any, **__: Any) -> _Gate | None:
    if not isinstance(other, Tensor):
        return None  # `x.max()` and `x.max(dim)`
    x, other = (other, x) if other.requires_grad else (x, other)
    fits = other.shape == x.shape or (other.numel() == 1 and other.ndim <= x.ndim)
    return _Gate(x) if fits and _is_zero(other) else None


def _is_zero(bound: object) -> bool:
    if isinstance(bound, Tensor):
        return not bound.requires_grad and not bool(bound.any())
    return bound == 0


_READERS: Mapping[str, Callable[..., _Gate | None]] = MappingProxyType(
    {
        "relu": _read_relu,
        "relu6": _read_relu6,
        "hardtanh": _read_hardtanh,  # also `nn.ReLU6`
        "threshold": _read_threshold,
        "_threshold": _read_threshold,  # `F.threshold` by its name inside torch
        "clamp": _read_clamp,
        "clip": _read_clamp,
        "clamp_min": _read_clamp,
        "maximum": _read_maximum,
        "fmax": _read_maximum,
        "max": _read_maximum,
    }
)
