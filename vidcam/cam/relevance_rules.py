"""How relevance passes each operation: the calls whose gradient a `RelevanceMode` changes, and what becomes of each.

Values stay as they are. With constant factors, every operation is linear, and R = Σ_d z · ∂S/∂z adds up to the score.

- The softmax of attention is a constant (`token-lrp`, arXiv:2202.07304); or it keeps its own gradient (`attnlrp`,
  arXiv:2402.05602).
- The standard deviation of a norm over features is a constant; so is every denominator.
- An activation f is x · f(x)/x with a constant f(x)/x. A ReLU is that already.
- A power xⁿ is x times the constant xⁿ⁻¹, and a constant if n < 0.
- Of a product of two values, the gate is a constant: what comes out of a sigmoid, else of a tanh, erf or ReLU6, else,
  for `token-lrp`, of any other activation. Without one, each gets half of the gradient: a product counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vidcam.cam import relevance_norms as norms
from vidcam.cam.linear_parts import with_constant_gate, with_scaled_gradient
from vidcam.cam.relevance_pass import Arguments, Function, Named, Pass, Rule, depends, is_of_tokens

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
    names = ("query", "key", "value", "attn_mask")
    given = {**dict(zip(names, args, strict=False)), **{name: named[name] for name in names if name in named}}
    query, key, value, mask = map(given.get, names)
    rest = {name: each for name, each in named.items() if name not in names}
    if state.is_softmax_constant:
        return func(_constant(query), _constant(key), value, _constant(mask), *args[4:], **rest)
    of_output = 0.5 if depends(value) and any(map(depends, (query, key, mask))) else 1.0
    of_scores = of_output * (0.5 if depends(query) and depends(key) else 1.0)
    parts = (scaled(query, of_scores), scaled(key, of_scores), scaled(value, of_output), scaled(mask, of_output))
    return func(*parts, *args[4:], **rest)


def _constant(value: Any) -> Any:
    """A value without its graph."""
    return value.detach() if depends(value) else value


def scaled(value: Any, factor: float) -> Any:
    """Return a value that passes on a multiple of its gradient; as it is if it has none."""
    return with_scaled_gradient(value, factor) if depends(value) and factor != 1 else value


# ---- products


def _product(positions: tuple[int, int], state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """A product of two values, at these positions: the gate is a constant, else each gets half."""
    args, named = _by_position(args, named)
    first, second = (args[position] if position < len(args) else None for position in positions)
    if first is None or second is None or not (depends(first) and depends(second)):
        return func(*args, **named)
    factors = dict(zip(positions, _factors(state, first, second, 1 if func in _ELEMENTWISE else _SIGMOID), strict=True))
    return func(*(factors.get(position, value) for position, value in enumerate(args)), **named)


def _by_position(args: Arguments, named: Named) -> tuple[Arguments, Named]:
    """The second factor as the second argument, if the network names it."""
    name = next((name for name in ("other", "mat2", "vec", "vec2", "tensor") if name in named), None)
    if len(args) != 1 or name is None:
        return args, named
    return (*args, named[name]), {key: value for key, value in named.items() if key != name}


def _factors(state: Pass, first: Tensor, second: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Two values as the factors of a product; a gate has at least this strength."""
    strengths = [strength if strength >= least else 0 for strength in map(state.strength, (first, second))]
    if strengths[0] == strengths[1]:
        return scaled(first, 0.5), scaled(second, 0.5)
    return (first.detach(), second) if strengths[0] > strengths[1] else (first, second.detach())


def _linear(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    state.has_tokens |= is_of_tokens(args[0])
    return _product((0, 1), state, func, args, named)


def _einsum(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    operands = list(args[1]) if len(args) == 2 and isinstance(args[1], tuple | list) else list(args[1:])
    count = sum(map(depends, operands))
    return func(args[0], *(scaled(each, 1 / count) if count > 1 else each for each in operands), **named)


def _cosine(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """A cosine is a product of two values, each divided by its length."""
    if not any(map(depends, (*args, *named.values()))):
        return func(*args, **named)
    given = {**dict(zip(("x1", "x2", "dim", "eps"), args, strict=False)), **named}
    dim, eps = given.get("dim", 1), given.get("eps", 1e-8)
    both = torch.broadcast_tensors(given["x1"], given["x2"])  # type: ignore[no-untyped-call]
    units = (each / each.norm(dim=dim, keepdim=True).clamp_min(eps).detach() for each in both)
    return _product((0, 1), state, torch.mul, tuple(units), {}).sum(dim)


def _times(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """An elementwise product; one of gates is a gate."""
    args, named = _by_position(args, named)
    result = _product((0, 1), state, func, args, named)
    if not all(map(depends, args[:2])):
        state.pass_on(result, args[:2])
    return result


def _divided(state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """A denominator is a constant."""
    args, named = _by_position(args, named)
    result = func(args[0], *map(_constant, args[1:]), **named)
    state.pass_on(result, args[:1])
    return result


def _power(exponent: float | None, state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """A constant power."""
    given = args[1] if len(args) > 1 else named.get("exponent")
    power = exponent if given is None else given
    if not depends(args[0]) or not isinstance(power, int | float) or power == 0:
        return func(*args, **named)
    if power < 0:
        return func(*args, **named).detach()
    result = with_constant_gate(args[0], lambda x: func(x, *args[1:], **named), float(power == 1))
    state.pass_on(result, args[:1])
    return result


def _divides(_state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """`2 / x`, and 1 / √x: the result is a constant."""
    return func(*args, **named).detach()


# ---- activations


def _activation(slope: float, state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """An activation with f(0) = 0. Behind it a product with a value is a gate for `token-lrp` alone."""
    if not depends(args[0]):
        return func(*args, **named)
    result = with_constant_gate(args[0], lambda x: func(x, *args[1:], **named), slope)
    if state.is_softmax_constant or func in _GATES:
        state.gates[result] = 2 if func in _GATES else 1
    return result


def _gate(strength: int, state: Pass, func: Function, args: Arguments, named: Named) -> Any:
    """An activation with f(0) ≠ 0: it has its own gradient if it is no gate."""
    result = func(*args, **named)
    if depends(result):
        state.gates[result] = strength
    return result


def _gated_linear_unit(_state: Pass, _func: Function, args: Arguments, named: Named) -> Any:
    first, second = args[0].chunk(2, dim=named.get("dim", args[1] if len(args) > 1 else -1))
    return first * second.sigmoid().detach()


# ---- the table

_ELEMENTWISE: set[Function] = {torch.mul, torch.multiply, Tensor.mul, Tensor.multiply, torch.addcmul, Tensor.addcmul}

_SIGMOID = 3
"""How surely a sigmoid is a gate. It is one of a matrix product too, as in attention of sigmoids."""

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

SOFTMAXES = frozenset((torch.softmax, torch.special.softmax, functional.softmax, Tensor.softmax))

RULES: Mapping[Function, Rule] = MappingProxyType(
    {
        **dict.fromkeys(SOFTMAXES, _softmax),
        functional.scaled_dot_product_attention: _fused_attention,
        functional.linear: _linear,
        functional.bilinear: partial(_product, (0, 1)),
        **dict.fromkeys(
            (
                *(torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__),
                *(torch.bmm, Tensor.bmm, torch.mm, Tensor.mm),
                *(torch.conv1d, torch.conv2d, torch.conv3d, torch.tensordot, torch.linalg.matmul, torch.linalg.vecdot),
                *(torch.inner, Tensor.inner, torch.outer, Tensor.outer, torch.ger, Tensor.ger, torch.vdot, Tensor.vdot),
                *(torch.mv, Tensor.mv, torch.dot, Tensor.dot),
            ),
            partial(_product, (0, 1)),
        ),
        **dict.fromkeys(
            (
                *(torch.addmm, Tensor.addmm, torch.baddbmm, Tensor.baddbmm, torch.addbmm, Tensor.addbmm),
                *(torch.addcmul, Tensor.addcmul, torch.addmv, Tensor.addmv),
            ),
            partial(_product, (1, 2)),
        ),
        torch.einsum: _einsum,
        torch.cosine_similarity: _cosine,
        **dict.fromkeys(_ELEMENTWISE - {torch.addcmul, Tensor.addcmul}, _times),
        **dict.fromkeys(
            (torch.div, torch.divide, torch.true_divide, Tensor.div, Tensor.divide, Tensor.true_divide),
            _divided,
        ),
        **dict.fromkeys(
            (Tensor.__rdiv__, torch.rsqrt, Tensor.rsqrt, torch.reciprocal, Tensor.reciprocal),
            _divides,
        ),
        **dict.fromkeys((torch.pow, Tensor.pow, Tensor.__pow__), partial(_power, None)),
        **dict.fromkeys((torch.square, Tensor.square), partial(_power, 2.0)),
        **dict.fromkeys((torch.sqrt, Tensor.sqrt), partial(_power, 0.5)),
        **{func: partial(_activation, slope) for func, slope in _PLAIN_ACTIVATIONS.items()},
        **dict.fromkeys(
            (torch.sigmoid, Tensor.sigmoid, functional.sigmoid, torch.special.expit, functional.hardsigmoid),
            partial(_gate, _SIGMOID),
        ),
        **dict.fromkeys((functional.relu6, functional.hardtanh), partial(_gate, 2)),
        functional.glu: _gated_linear_unit,
        **dict.fromkeys((functional.layer_norm, torch.layer_norm), norms.layer_norm),
        **dict.fromkeys((functional.rms_norm, torch.rms_norm), norms.rms_norm),
        **dict.fromkeys((functional.group_norm, torch.group_norm), norms.group_norm),
        **dict.fromkeys((functional.instance_norm, torch.instance_norm), norms.instance_norm),
    }
)
"""Function, as torch names it when it is called → its rule."""

IN_PLACE: Mapping[Function, Function] = MappingProxyType(
    {
        Tensor.mul_: Tensor.mul,
        Tensor.multiply_: Tensor.mul,
        **dict.fromkeys((Tensor.div_, Tensor.divide_, Tensor.true_divide_), Tensor.div),
        Tensor.addcmul_: Tensor.addcmul,
        Tensor.addmm_: Tensor.addmm,
        Tensor.addbmm_: Tensor.addbmm,
        Tensor.baddbmm_: Tensor.baddbmm,
        **dict.fromkeys((Tensor.pow_, Tensor.__ipow__), Tensor.pow),
        Tensor.square_: Tensor.square,
        **dict.fromkeys((Tensor.sqrt_, torch.sqrt_), Tensor.sqrt),
        **dict.fromkeys((Tensor.rsqrt_, torch.rsqrt_), Tensor.rsqrt),
        **dict.fromkeys((Tensor.reciprocal_, torch.reciprocal_), Tensor.reciprocal),
        **dict.fromkeys((Tensor.sigmoid_, torch.sigmoid_), Tensor.sigmoid),
        **dict.fromkeys((Tensor.tanh_, torch.tanh_), Tensor.tanh),
        **dict.fromkeys((Tensor.erf_, torch.erf_), Tensor.erf),
    }
)
"""Function that changes its first argument → the one with a rule that returns the result."""
