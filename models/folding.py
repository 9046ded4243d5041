"""Batch normalisation taken into the convolution before it, where it is proven to come right behind it.

In evaluation y = γ·(w∗x + b − μ)/√(σ² + ε) + β is a convolution with the weights s·w and the bias s·(b − μ) + β, where
s = γ/√(σ² + ε). A pair is folded if one run without values (`tracing`) shows that the convolution is computed from the
module's own weight, runs once, and that its result goes into the normalisation and nowhere else: not into a layer that
is looked at, another operation, or what the network returns. The folded network is run so once more; it must do the
same without the normalisations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vidcam.models.tracing import Call, Operation, Trace, copied, trace

Pair = tuple[str, str]
"""Names of a convolution and of its normalisation."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONVOLUTION = "aten::convolution"


class Folded(nn.Module):
    """Stands where a normalisation stood, under its name; returns what it is given, which is normalised already."""

    def forward(self, grid: Tensor) -> Tensor:
        """The same tensor."""
        return grid


@dataclass(frozen=True, slots=True, eq=False)
class Folding:
    """A copy of a network with what could be folded.

    Attributes:
        network: shares with the network the weights that it did not change.
        pairs: that were folded.
        reason: why the network could not be seen through; None where it could.
    """

    network: nn.Module
    pairs: tuple[Pair, ...] = ()
    reason: str | None = None


def folded(module: nn.Module, shape: tuple[int, ...], layers: Collection[str] = ()) -> Folding:
    """Fold whatever is proven in a copy of a network.

    Args:
        module: left as it was; normalisations in training mode are left alone.
        shape: of a clip.
        layers: names of those whose outputs are looked at, which stay what they are.

    Raises:
        Exception: whatever a network that cannot be copied raises.
    """
    network = copied(module, lambda tensor: tensor)
    inner = list(module.modules())
    if not any(isinstance(one, _CONVOLUTIONS) for one in inner) or not any(map(_is_foldable_norm, inner)):
        return Folding(network)
    try:
        seen = trace(module, shape)
        found = pairs(module, seen, layers)
        fold(network, found)
        if is_same_without(seen, trace(network, shape), found):
            return Folding(network, tuple(found))
        reason = "folded, it would do something else"
    except Exception as exc:
        reason = f"it cannot be run without values: {first_line(exc)}"
    return Folding(copied(module, lambda tensor: tensor), reason=reason)


def first_line(error: Exception) -> str:
    """Of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def pairs(module: nn.Module, seen: Trace, layers: Collection[str] = ()) -> list[Pair]:
    """The convolutions that may be folded, each with its normalisation.

    Args:
        module: the network, with values.
        seen: of the network.
        layers: names of those whose outputs are looked at, which must stay what they are.
    """
    calls: dict[str, list[Call]] = {}
    for call in seen.calls:
        calls.setdefault(call.name, []).append(call)
    modules = dict(module.named_modules())
    once = {name: found[0] for name, found in calls.items() if len(found) == 1}
    norms = [call for name, call in once.items() if _is_foldable_norm(modules[name])]
    found = []
    for name, call in once.items():
        if isinstance(modules[name], _CONVOLUTIONS) and _is_plain_convolution(call, seen):
            norm = _only_norm(call.outputs[0], norms, seen)
            if norm is not None and not {"", *layers}.intersection(seen.returning(call.outputs[0])):
                found.append((name, norm.name))
    return found


def _is_plain_convolution(call: Call, seen: Trace) -> bool:
    """Whether its one output is a convolution with its own weight and bias, which are used for nothing else."""
    operation = _maker(call, seen)
    if operation is None or operation.name != _CONVOLUTION or len(call.outputs) != 1:
        return False
    _, weight, bias = operation.arguments[:3]
    own: Mapping[str, Tensor | None] = call.module._parameters  # noqa: SLF001 – what is computed is no parameter
    used_once = [tensor for tensor in (own.get("weight"), own.get("bias")) if tensor is not None]
    return (
        weight is own.get("weight")
        and bias is own.get("bias")
        and all(seen.taking(tensor) == [operation] for tensor in used_once)
    )


def _only_norm(features: Tensor, norms: list[Call], seen: Trace) -> Call | None:
    """The normalisation into which these features go, and nowhere else."""
    users = seen.taking(features)
    for norm in norms:
        inside = [operation for operation in seen.of(norm) if operation.inputs]
        if users == inside and _maker(norm, seen) in users and len(users) == 1 and "batch_norm" in users[0].name:
            return norm if users[0].arguments[0] is features and _keeps_to_itself(norm, users[0], seen) else None
    return None


def _keeps_to_itself(norm: Call, operation: Operation, seen: Trace) -> bool:
    """Whether its statistics, scale and shift are used by this operation alone."""
    held = (*norm.module.parameters(), *norm.module.buffers())
    return all(used is operation for tensor in held for used in seen.taking(tensor))


def _maker(call: Call, seen: Trace) -> Operation | None:
    """The operation in a call that made what it returns."""
    if len(call.outputs) != 1:
        return None
    return next((operation for operation in seen.of(call) if operation.result is call.outputs[0]), None)


def _is_foldable_norm(module: nn.Module) -> bool:
    return (
        isinstance(module, _BatchNorm)
        and not module.training
        and isinstance(module.running_mean, Tensor)
        and isinstance(module.running_var, Tensor)
        and bool(torch.isfinite(_scale_and_shift(module)).all())
    )


def fold(copy: nn.Module, found: Collection[Pair]) -> None:
    """Fold these pairs of a network in place; worked out in float64 and rounded once."""
    modules = dict(copy.named_modules())
    for convolution, norm in found:
        _fold_pair(modules[convolution], modules[norm])
    stand_ins = {modules[norm]: Folded().eval() for _, norm in found}
    for parent in modules.values():
        for name, child in list(parent._modules.items()):  # noqa: SLF001 – by all of its names
            if child in stand_ins:
                setattr(parent, name, stand_ins[child])


def is_same_without(seen: Trace, folded: Trace, found: Collection[Pair]) -> bool:
    """Whether the folded network does what the network does, but for the normalisations, and uses the new weights."""
    gone = {norm for _, norm in found}
    skipped = {index for call in seen.calls if call.name in gone for index in range(call.first, call.last)}
    left = [operation.name for index, operation in enumerate(seen.operations) if index not in skipped]
    made_anew = {name for name, _ in found}
    calls = [call for call in folded.calls if call.name in made_anew]
    return left == folded.names and all(_is_plain_convolution(call, folded) for call in calls)


def _fold_pair(convolution: nn.Module, norm: nn.Module) -> None:
    weight: Tensor = convolution.weight  # type: ignore[assignment]
    scale, shift = _scale_and_shift(norm).to(weight.device)
    bias = _double(convolution.bias)  # type: ignore[arg-type]
    new = weight.detach().to(torch.float64, copy=True)
    new *= scale.reshape(-1, *[1] * (weight.ndim - 1))
    for name, values in (("weight", new), ("bias", shift if bias is None else bias * scale + shift)):
        setattr(convolution, name, nn.Parameter(values.to(weight.dtype), requires_grad=False))


def _scale_and_shift(norm: nn.Module) -> Tensor:
    """(2, D) float64: what the normalisation multiplies with, and what it adds after that."""
    mean, variance, weight, bias = (_double(getattr(norm, name)) for name in _STATISTICS)
    assert mean is not None, "asked for before"
    assert variance is not None, "asked for before"
    scale = (variance + float(norm.eps)).rsqrt()  # type: ignore[arg-type]
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return torch.stack([scale, shift])


_STATISTICS = ("running_mean", "running_var", "weight", "bias")


def _double(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().double()
