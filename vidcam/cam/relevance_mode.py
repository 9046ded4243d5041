"""A mode around one forward pass in which attention, norms and gates are constants: see `relevance_rules`.

It finds the operations as torch calls them, so that fused, divided, windowed and pooled attention need no code of their
own. Weights are constants too: what has a gradient then depends on the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.cam.graph import LINEAR_IN_FIRST, PIECEWISE_LINEAR, PRODUCTS, nodes_below, operation
from vidcam.cam.preserve import FunctionMode
from vidcam.cam.relevance_pass import Pass
from vidcam.cam.relevance_rules import IN_PLACE, RULES

OPENED = (functional.multi_head_attention_forward, functional.normalize)
"""Functions of Python whose own calls have rules. A mode sees them as one call."""


class RelevanceMode(FunctionMode):
    """Apply the rules to every call. Enter it before a `LogitTracer`, which then sees what the network gets.

    Attributes:
        state: what was met.
    """

    def __init__(self, state: Pass) -> None:
        super().__init__()
        self.state = state

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call through, by the rule of the function if there is one."""
        named: dict[str, Any] = dict(kwargs or {})
        if func in OPENED:
            with RelevanceMode(self.state):
                return opened(func)(*args, **named)
        if not args and "input" in named:
            args = (named.pop("input"),)
        is_in_place = func in IN_PLACE or (func in RULES and named.pop("inplace", False) is True)
        if is_in_place and torch.is_grad_enabled():
            return self._in_place(IN_PLACE.get(func, func), args, named)
        rule = RULES.get(func)
        if rule is None and not torch.is_grad_enabled():
            return func(*args, **named)
        args = tuple(
            type(value)(map(_constant, value)) if type(value) in (tuple, list) else _constant(value) for value in args
        )
        named = {name: _constant(value) for name, value in named.items()}
        if rule is not None:
            return rule(self.state, func, args, named)
        result = func(*args, **named)
        if len(self.state.gates):
            self.state.pass_on(result, (*args, *named.values()))
        return result

    def _in_place(self, func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
        """Write the result into the first argument: other views of it may be used later."""
        changed: Tensor = args[0]
        result = self.__torch_function__(func, (), (changed.clone(), *args[1:]), named)
        changed.copy_(result)  # a mode is off inside its own calls
        self.state.gates.pop(changed, None)
        self.state.pass_on(changed, [result])
        return changed


def unknown_operations(score: Tensor) -> tuple[str, ...]:
    """Return the operations between the layer and a score that no rule covers, each once."""
    names = (operation(node) for node in nodes_below(score.grad_fn))
    return tuple(dict.fromkeys(name for name in names if name and name not in _COVERED))


def _constant(value: Any) -> Any:
    """A weight without its graph."""
    return value.detach() if isinstance(value, nn.Parameter) else value


@cache
def opened(func: FunctionType) -> Callable[..., Any]:
    """Return a function of `torch.nn.functional` that does not hand itself to the mode again."""
    checks = (name for name in func.__globals__ if name.startswith("has_torch_function"))
    inner = {**func.__globals__, **dict.fromkeys(checks, _is_never)}
    copy = FunctionType(func.__code__, inner, func.__name__, func.__defaults__, func.__closure__)
    copy.__kwdefaults__ = func.__kwdefaults__
    return copy


def _is_never(*_: object) -> bool:
    return False


_COVERED = (
    PIECEWISE_LINEAR
    | PRODUCTS
    | LINEAR_IN_FIRST
    | frozenset(
        [
            *("AccumulateGrad", "Softmax", "Copy", "CopySlices", "Diagonal", "Unfold", "UnsafeSplitWithSizes"),
            *("ScaledDotProductFlashAttentionForCpu", "ScaledDotProductFlashAttention", "Contiguous", "Rsub", "View"),
            *("ScaledDotProductEfficientAttention", "ScaledDotProductCudnnAttention", "Bilinear", "Addbmm", "Tile"),
            *("UpsampleBicubic2D", "RepeatInterleave", "IndexPut", "Scatter", "Im2Col", "Col2Im", "MvDot"),
            *("SliceScatter", "Movedim", "PixelShuffle", "NanToNum", "NativeDropout", "FftRfft", "ConvDepthwise2D"),
            *("ConvDepthwise3D", "MkldnnConvolution", "AvgPool1D", "Einsum", "MaskedSelect", "MaskedScatter", "Tril"),
            *("Addcmul", "Addmv", "LinalgVectorNorm", "PreluKernel", "SafeSoftmax", "VarMean", "ViewAsComplex"),
            "ViewAsReal",
        ]
    )
)
"""Linear operations, also those that a rule makes linear. Those of `linear_parts` have no name in the graph."""
