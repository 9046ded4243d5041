"""The same network, faster: batch normalisation folded into convolutions, channels last, on request in 16 bits.

A copy is made; what it does not change it shares with the network, which is never modified and which stays the one for
everything that touches weights (drawing them anew, saving them). Modules keep their names, and the layers that are
looked at return what they returned. Whatever cannot be proven, or cannot be copied, is left as it is.

Folding and the memory format are exact up to rounding. 16 bits are not: the trunk's activations keep 8 (bfloat16) or 11
(float16) bits; the classifier, the last module with weights, works in float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from vidcam.errors import InputError
from vidcam.models.model import Model

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Precision = Literal["float32", "bf16", "fp16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

MemoryFormat = Literal["contiguous", "channels_last", "channels_last_3d"]

_HALVES: Mapping[str, str] = MappingProxyType({"bf16": "bfloat16", "fp16": "float16"})

_WRAPPERS = {"OptimizedModule", "DataParallel", "DistributedDataParallel"}


@dataclass(frozen=True, slots=True)
class Forward:
    """Which paths a model's forward pass takes; stands in every result.

    Attributes:
        folded: batch normalisations that are part of the convolution before them.
        memory_format: of the convolutions' weights.
        precision: of the trunk; 'float32' leaves the network's own.
        reason: why the network runs as it is; None where it does not.
    """

    folded: int = 0
    memory_format: MemoryFormat = "contiguous"
    precision: Precision = "float32"
    reason: str | None = None

    def entry(self) -> dict[str, Any]:
        """As it stands in a JSON."""
        return asdict(self)


def optimised(model: Model, layers: Collection[str] = (), *, precision: Precision = "float32") -> tuple[Model, Forward]:
    """The model with a faster copy of its network, and what was done; the model itself where nothing can be.

    Args:
        model: left as it was; weights are shared with it as far as they are the same.
        layers: dotted names of the layers that will be looked at; their outputs stay what they are.
        precision: of the trunk.

    Raises:
        InputError: the precision is unknown, is not one for this device, or the network cannot be copied for it.
    """
    _require_precision(precision, model.device)
    made = _faster(model, layers, precision)
    if not isinstance(made, str):
        network, forward = made
        return replace(model, module=network), forward
    if precision != "float32":
        raise InputError(
            f"model {model.spec.name!r} cannot run in {precision} ({made}), expected a network that can be copied; "
            f"leave the precision at float32"
        )
    return model, Forward(reason=made)


def _faster(model: Model, layers: Collection[str], precision: Precision) -> tuple[nn.Module, Forward] | str:
    """The copy and what was done to it; a reason where there can be none."""
    from vidcam.models.folding import first_line, folded

    module, shape = model.module, (1, 3, *model.spec.input_size)
    if refusal := _refusal(module, layers):
        return refusal
    try:
        made = folded(module, shape, layers)
    except Exception as exc:
        return f"it cannot be copied: {first_line(exc)}"
    memory_format = _lay_out(made.network, shape, model.device, precision)
    if precision != "float32" and (trouble := _halve(made.network, shape, precision)):
        return trouble
    if not made.pairs and memory_format == "contiguous" and precision == "float32":
        return made.reason or "it has nothing to fold or to lay out anew"
    return made.network, Forward(len(made.pairs), memory_format, precision, made.reason)


def _lay_out(network: nn.Module, shape: tuple[int, ...], device: torch.device, precision: Precision) -> MemoryFormat:
    """Lay the convolutions' weights out channels last where that is faster; features follow the weights."""
    import torch
    from torch import nn

    from vidcam.models.tracing import runs_channels_last

    if device.type != "cpu" and precision == "float32":  # cuDNN has its fast kernels in that layout for halves
        return "contiguous"
    inner = list(network.modules())
    convolutions = [one for one in inner if isinstance(one, nn.Conv2d | nn.Conv3d) and "weight" in one._parameters]  # noqa: SLF001 – else it is computed
    if not convolutions or any(isinstance(one, nn.LayerNorm) for one in inner):  # transformers gain nothing
        return "contiguous"
    if not runs_channels_last(network, shape):
        return "contiguous"
    for one in convolutions:
        layout = torch.channels_last_3d if isinstance(one, nn.Conv3d) else torch.channels_last
        one.weight = nn.Parameter(one.weight.detach().contiguous(memory_format=layout), requires_grad=False)
    return "channels_last_3d" if any(isinstance(one, nn.Conv3d) for one in convolutions) else "channels_last"


def _halve(network: nn.Module, shape: tuple[int, ...], precision: Precision) -> str | None:
    """Turn the weights into 16 bits, but for the classifier's and those of normalisations over batches.

    Returns:
        Why it cannot be done; None where it was.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    from vidcam.models.folding import first_line
    from vidcam.models.tracing import trace

    try:
        calls = trace(network, shape).calls
    except Exception as exc:
        return f"it cannot be run without values: {first_line(exc)}"
    weighted = [call.name for call in calls if list(call.module.parameters(recurse=False))]
    if not weighted:
        return "it has no weights"
    half, classifier = getattr(torch, _HALVES[precision]), network.get_submodule(weighted[-1])
    own = next(classifier.parameters()).dtype
    for module in network.modules():
        if module is not classifier and not isinstance(module, _BatchNorm):
            _convert(module, half)
    network.register_forward_pre_hook(partial(_cast, half))
    for module in (_head_of(network, weighted[-1]), *_unsupported(network)):
        if module is not network:
            module.register_forward_pre_hook(partial(_cast, own))
    return None


def _head_of(network: nn.Module, classifier: str) -> nn.Module:
    """The outermost module with no other weights than the classifier's: its pooling is done in float32 too."""
    own = {id(parameter) for parameter in network.get_submodule(classifier).parameters()}
    names = classifier.split(".")
    holders = (network.get_submodule(".".join(names[:depth])) for depth in range(1, len(names) + 1))
    return next(holder for holder in holders if {id(parameter) for parameter in holder.parameters()} <= own)


def _unsupported(network: nn.Module) -> list[nn.Module]:
    """Modules that torch has no 16-bit kernel for on a CPU."""
    from torch import nn

    return [one for one in network.modules() if isinstance(one, nn.AvgPool3d)]


def _convert(module: nn.Module, dtype: torch.dtype) -> None:
    """A module's own tensors; those that it shares with another module stay the other's."""
    from torch import nn

    for name, parameter in module.named_parameters(recurse=False):
        setattr(module, name, nn.Parameter(_of_dtype(parameter.detach(), dtype), requires_grad=False))
    for name, buffer in module.named_buffers(recurse=False):
        setattr(module, name, _of_dtype(buffer, dtype))


def _cast(dtype: torch.dtype, _module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_of_dtype(given, dtype) if hasattr(given, "is_floating_point") else given for given in inputs)


def _of_dtype(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _require_precision(precision: str, device: torch.device) -> None:
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}; choose one")
    if precision == "fp16" and device.type == "cpu":
        raise InputError(
            "precision fp16 was asked for on a CPU, expected bf16 or float32 there; pass bf16, or a CUDA device"
        )


def _refusal(module: nn.Module, layers: Collection[str]) -> str:
    """Why a network is not copied at all; empty where nothing stands against it."""
    import torch
    from torch.nn.parameter import is_lazy

    inner = dict(module.named_modules())
    if any(type(one).__name__ in _WRAPPERS or isinstance(one, torch.jit.ScriptModule) for one in inner.values()):
        return "it is compiled, scripted or wrapped"
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        return "its weights have no shapes yet"
    if any(_hooks(one, is_root=one is module) for one in inner.values()):
        return "it has hooks"
    unknown = [name for name in layers if name not in inner]
    return f"it has no layer {unknown[0]!r}" if unknown else ""


def _hooks(module: nn.Module, *, is_root: bool) -> bool:
    """Whether somebody watches a module; a network may have hooks that prepare its input."""
    watching = [module._forward_hooks, module._backward_hooks, module._backward_pre_hooks]  # noqa: SLF001
    return any(watching) or (bool(module._forward_pre_hooks) and not is_root)  # noqa: SLF001
