"""How relevance passes each operation: the calls whose gradient a `RelevanceMode` changes, and what becomes of each.

Values stay as they are. With constant factors, every operation is linear, and R = Σ_d z · ∂S/∂z adds up to the score.

- The softmax of attention is a constant (`token-lrp`, arXiv:2202.07304); or it keeps its own gradient (`attnlrp`,
  arXiv:2402.05602).
- The standard deviation of a norm over features is a constant; so is every denominator.
- An activation f is x · f(x)/x with a constant f(x)/x. A ReLU is that already.
- Of a product of two values, the gate is a constant: what comes out of a sigmoid, tanh or erf, or for `token-lrp` out
  of any activation. If neither is a gate, or both are, each gets half of the gradient: a product counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from vidcam.cam.linear_parts import with_constant_deviation, with_constant_gate, with_scaled_gradient

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Named = dict[str, Any]


@dataclass(slots=True, eq=False)
class Pass:
    """One forward pass under the rules.

    Attributes:
        is_softmax_constant: `token-lrp`; else `attnlrp`.
        attentions: how many softmaxes over more than two axes, and fused attentions, ran.
        has_tokens: whether a linear layer or a norm has worked on the features of tokens.
        gates: results of sigmoids and the like, also scaled, shifted or viewed.
    """

    is_softmax_constant: bool = True
    attentions: int = 0
    has_tokens: bool = False
    gates: Any = field(default_factory=WeakTensorKeyDictionary)

    def pass_on(self, result: Any, inputs: Iterable[Any]) -> None:
        """Note a result as a gate if it is computed from gates and constants alone."""
        sources = [value for value in inputs if depends(value)]
        if sources and all(source in self.gates for source in sources):
            for part in result if isinstance(result, tuple | list) else [result]:
                if isinstance(part, Tensor):
                    self.gates[part] = True


Rule = Callable[[Pass, Function, Arguments, Named], Any]


def depends(value: Any) -> bool:
    """Whether a value is computed from the layer."""
    return isinstance(value, Tensor) and value.requires_grad


# ---- attention


def _softmax(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    result = func(*args, **named)
    if not isinstance(result, Tensor):
        return result
    state.attentions += result.ndim > 2
    return result.detach() if state.is_softmax_constant else result


def _fused_attention(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """softmax(q·k)·v. If attention has a gradient, each of the two products halves that of its factors."""
    state.attentions += 1
    names = ("query", "key", "value")
    given = {**dict(zip(names, args, strict=False)), **{name: named[name] for name in names if name in named}}
    query, key, value = (given[name] for name in names)
    rest = {name: each for name, each in named.items() if name not in names}
    if state.is_softmax_constant:
        return func(query.detach(), key.detach(), value, *args[3:], **rest)
    of_output = 0.5 if depends(value) and (depends(query) or depends(key)) else 1.0
    of_scores = of_output * (0.5 if depends(query) and depends(key) else 1.0)
    parts = (scaled(query, of_scores), scaled(key, of_scores), scaled(value, of_output))
    return func(*parts, *args[3:], **rest)


def scaled(value: Any, factor: float) -> Any:
    """Return a value that passes on a multiple of its gradient; as it is if it has none."""
    return with_scaled_gradient(value, factor) if depends(value) and factor != 1 else value


# ---- products


def _product(positions: tuple[int, ...], _state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """A product of two values, at these positions: each gets half."""
    factors = [position for position in positions if position < len(args) and depends(args[position])]
    if len(factors) < 2:
        return func(*args, **named)
    halved = [scaled(value, 0.5) if position in factors else value for position, value in enumerate(args)]
    return func(*halved, **named)


def _linear(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    state.has_tokens |= is_of_tokens(args[0] if args else named["input"])
    return _product((0, 1), state, func, args, named)


def _einsum(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    operands = list(args[1]) if len(args) == 2 and isinstance(args[1], tuple | list) else list(args[1:])
    count = sum(map(depends, operands))
    return func(args[0], *(scaled(each, 1 / count) if count > 1 else each for each in operands), **named)


def _times(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """An elementwise product: the gate is a constant."""
    first, second = args[0], args[1] if len(args) > 1 else named["other"]
    if not (depends(first) and depends(second)):
        result = func(*args, **named)
        state.pass_on(result, (first, second))
        return result
    is_gate = [each in state.gates for each in (first, second)]
    if is_gate[0] == is_gate[1]:
        factors = scaled(first, 0.5), scaled(second, 0.5)
        plain = torch.mul if func in _IN_PLACE_PRODUCTS else func
        return plain(*factors)
    if is_gate[1]:
        return func(first, second.detach())
    return torch.mul(first.detach(), second)


def _divided(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """A denominator is a constant."""
    result = func(args[0], *(each.detach() if depends(each) else each for each in args[1:]), **named)
    state.pass_on(result, args[:1])
    return result


def _divides(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """`2 / x`, and 1 / √x: the result is a constant."""
    return func(*args, **named).detach()


# ---- activations


def _activation(slope: float, state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """An activation with f(0) = 0. Behind it a product with a value is a gate for `token-lrp` alone."""
    values = args[0] if args else named.pop("input")
    if not depends(values):
        return func(values, *args[1:], **named)
    rest = _not_in_place(named)
    result = with_constant_gate(values, lambda x: func(x, *args[1:], **rest), slope)
    if state.is_softmax_constant or func in _GATES:
        state.gates[result] = True
    return result


def _not_in_place(named: Named) -> Named:
    return {name: value for name, value in named.items() if name != "inplace"}


def _gate(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """An activation with f(0) ≠ 0: it has its own gradient if it is no gate."""
    result = func(*args, **named)
    if depends(result):
        state.gates[result] = True
    return result


def _gated_linear_unit(_state: Pass, _func: Function, args: Arguments, named: Named) -> Any:
    values = args[0] if args else named["input"]
    first, second = values.chunk(2, dim=named.get("dim", args[1] if len(args) > 1 else -1))
    return first * second.sigmoid().detach()


# ---- norms


def _layer_norm(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    given = _bound(("input", "normalized_shape", "weight", "bias", "eps"), args, named)
    values = given["input"]
    state.has_tokens |= is_of_tokens(values)
    if not depends(values):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=_groups(values, given["normalized_shape"]),
        weight=given.get("weight"),
        eps=given.get("eps", 1e-5),
    )


def _rms_norm(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    given = _bound(("input", "normalized_shape", "weight", "eps"), args, named)
    values, eps = given["input"], given.get("eps")
    state.has_tokens |= is_of_tokens(values)
    if not depends(values):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=_groups(values, given["normalized_shape"]),
        weight=given.get("weight"),
        eps=torch.finfo(values.dtype).eps if eps is None else eps,
        is_centred=False,
    )


def _group_norm(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    given = _bound(("input", "num_groups", "weight", "bias", "eps"), args, named)
    values, weight = given["input"], given.get("weight")
    if not depends(values):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=(values.shape[0], given["num_groups"], -1),
        weight=None if weight is None else weight.reshape(-1, *[1] * (values.ndim - 2)),
        eps=given.get("eps", 1e-5),
    )


def _instance_norm(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    names = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
    given = _bound(names, args, named)
    values, weight = given["input"], given.get("weight")
    if not depends(values) or not given.get("use_input_stats", True):
        return func(*args, **named)
    return with_constant_deviation(
        values,
        lambda x: func(x, *args[1:], **_without_input(named)),
        groups=(*values.shape[:2], -1),
        weight=None if weight is None else weight.reshape(-1, *[1] * (values.ndim - 2)),
        eps=given.get("eps", 1e-5),
    )


def _groups(values: Tensor, normalised: Any) -> tuple[int, ...]:
    count = 1 if isinstance(normalised, int) else len(normalised)
    return (*values.shape[: values.ndim - count], -1)


def _bound(names: tuple[str, ...], args: Arguments, named: Named) -> Mapping[str, Any]:
    return {**dict(zip(names, args, strict=False)), **named}


def _without_input(named: Named) -> Named:
    return {name: value for name, value in named.items() if name != "input"}


def is_of_tokens(values: Any) -> bool:
    """Whether a tensor (..., D) has more than one position for each row of the batch."""
    return isinstance(values, Tensor) and values.ndim > 2 and values[0, ..., 0].numel() > 1


# ---- the table

_IN_PLACE_PRODUCTS: set[Function] = {Tensor.mul_, Tensor.multiply_}

_GATES: set[Function] = {torch.tanh, Tensor.tanh, functional.tanh, torch.erf, Tensor.erf, torch.special.erf}
"""Activations with f(0) = 0 that are used as gates."""

_PLAIN_ACTIVATIONS: Mapping[Function, float] = {
    functional.gelu: 0.5,
    functional.silu: 0.5,
    functional.hardswish: 0.5,
    functional.mish: 0.6,
    functional.elu: 1.0,
    functional.selu: 1.0507,
    functional.celu: 1.0,
    functional.softsign: 1.0,
    **dict.fromkeys(_GATES, 1.0),
    torch.erf: 1.1284,
    Tensor.erf: 1.1284,
    torch.special.erf: 1.1284,
}
"""Activation with f(0) = 0 → f′(0)."""

RULES: Mapping[Function, Rule] = MappingProxyType(
    {
        **dict.fromkeys((torch.softmax, torch.special.softmax, functional.softmax, Tensor.softmax), _softmax),
        functional.scaled_dot_product_attention: _fused_attention,
        functional.linear: _linear,
        functional.bilinear: partial(_product, (0, 1)),
        **dict.fromkeys(
            (
                *(torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__),
                *(torch.bmm, Tensor.bmm, torch.mm, Tensor.mm),
                *(torch.conv1d, torch.conv2d, torch.conv3d),
            ),
            partial(_product, (0, 1)),
        ),
        **dict.fromkeys(
            (torch.addmm, Tensor.addmm, torch.baddbmm, Tensor.baddbmm, torch.addbmm, torch.addcmul, Tensor.addcmul),
            partial(_product, (1, 2)),
        ),
        torch.einsum: _einsum,
        **dict.fromkeys((torch.mul, torch.multiply, Tensor.mul, Tensor.multiply, *_IN_PLACE_PRODUCTS), _times),
        **dict.fromkeys(
            (torch.div, torch.divide, torch.true_divide, Tensor.div, Tensor.divide, Tensor.true_divide, Tensor.div_),
            _divided,
        ),
        **dict.fromkeys(
            (Tensor.__rdiv__, torch.rsqrt, Tensor.rsqrt, torch.reciprocal, Tensor.reciprocal),
            _divides,
        ),
        **{func: partial(_activation, slope) for func, slope in _PLAIN_ACTIVATIONS.items()},
        **dict.fromkeys(
            (
                *(torch.sigmoid, Tensor.sigmoid, functional.sigmoid, torch.special.expit),
                *(functional.hardsigmoid, functional.relu6, functional.hardtanh),
            ),
            _gate,
        ),
        functional.glu: _gated_linear_unit,
        **dict.fromkeys((functional.layer_norm, torch.layer_norm), _layer_norm),
        **dict.fromkeys((functional.rms_norm, torch.rms_norm), _rms_norm),
        **dict.fromkeys((functional.group_norm, torch.group_norm), _group_norm),
        **dict.fromkeys((functional.instance_norm, torch.instance_norm), _instance_norm),
    }
)
"""Function, as torch names it when it is called → its rule."""
