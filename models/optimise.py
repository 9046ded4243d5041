"""A faster copy of a network: convolutions channels last and, on request, 16 bits.

The network is never modified and stays the one for everything that touches weights (drawing them anew, saving them).
The copy shares with it the weights that are the same; its modules have the same names.

Channels last gives the same numbers up to rounding. 16 bits are not exact: activations of the trunk keep 8 (bfloat16)
or 11 (float16) bits; the classifier, the last module with weights, works in the network's own precision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from vidcam.errors import InputError
from vidcam.models.model import PRECISIONS, Forward, MemoryFormat, Model, Precision
from vidcam.preprocess import grey_input

Tried = TypeVar("Tried")

_WRAPPERS = {"OptimizedModule", "DataParallel", "DistributedDataParallel"}


def optimised(
    model: Model, attempt: Callable[[Model], Tried], *, precision: Precision = "float32"
) -> tuple[Model, Forward, Tried]:
    """The model with a faster copy of its network that has been tried out, or the model itself.

    Args:
        model: left as it was.
        attempt: runs the model that it is given on one clip. If the channels-last copy fails, it is called once more,
            with the model without that copy.
        precision: of the trunk.

    Returns:
        The model, how it runs, and what `attempt` returned for it.

    Raises:
        InputError: the precision is unknown, is not one for this device, or the network cannot be copied for it.
        Exception: whatever `attempt` raises for the model without the channels-last copy.
    """
    _require_precision(precision, model.device)
    reason = _why_no_copy(model.module)
    if precision != "float32":
        model = _in_16_bits(model, precision, reason)
    reason = reason or _why_no_gain(model.module, model.device, precision)
    if not reason:
        try:
            network, memory_format = to_channels_last(model.module)
            faster = replace(model, module=network)
            with as_in_any_batch(network):
                return faster, Forward(memory_format, precision), attempt(faster)
        except Exception as exc:  # any class may be in a network
            reason = f"the channels-last copy failed: {_first_line(exc)}"
    return model, Forward("contiguous", precision, reason), attempt(model)


def _require_precision(precision: str, device: torch.device) -> None:
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}; choose one")
    if precision == "fp16" and device.type == "cpu":
        raise InputError(
            "precision fp16 was asked for on a CPU, expected bf16 or float32 there; pass bf16, or a CUDA device"
        )


def _why_no_copy(module: nn.Module) -> str:
    """Why a network is not copied at all; empty if nothing stands against it."""
    inner = list(module.modules())
    if any(type(one).__name__ in _WRAPPERS or isinstance(one, torch.jit.ScriptModule) for one in inner):
        return "it is compiled, scripted or wrapped"
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        return "its weights have no shapes yet"
    return "it has hooks" if any(_is_watched(one, is_root=one is module) for one in inner) else ""


def _is_watched(module: nn.Module, *, is_root: bool) -> bool:
    """Whether a module has hooks; the network itself may have some that prepare its input."""
    watching = [module._forward_hooks, module._backward_hooks, module._backward_pre_hooks]  # noqa: SLF001
    return any(watching) or (bool(module._forward_pre_hooks) and not is_root)  # noqa: SLF001


def _why_no_gain(module: nn.Module, device: torch.device, precision: Precision) -> str:
    """Why channels last would gain nothing; empty if it gains."""
    if device.type != "cpu" and precision == "float32":  # cuDNN has its fast kernels in that format for 16 bits
        return f"channels last gains nothing in float32 on {device.type}"
    if not any("weight" in one._parameters for one in _convolutions(module)):  # noqa: SLF001 – else it is computed
        return "it has no 2-D or 3-D convolutions with weights of their own"
    if any(isinstance(one, nn.LayerNorm) for one in module.modules()):
        return "it has layer normalisation: transformers gain nothing from channels last"
    return ""


def _in_16_bits(model: Model, precision: Precision, reason: str) -> Model:
    """The model with a copy in 16 bits, unless there is a reason against a copy.

    Raises:
        InputError: there is such a reason, or the network cannot be copied, fails or has no weights.
    """
    if not reason:
        try:
            return replace(model, module=halved(model, torch.bfloat16 if precision == "bf16" else torch.float16))
        except Exception as exc:
            reason = _first_line(exc)
    raise InputError(
        f"model {model.spec.name!r} cannot run in {precision} ({reason}), expected a network that can be copied and "
        f"run on a grey clip; leave the precision at float32"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def shared_copy(module: nn.Module) -> nn.Module:
    """A copy of a network that shares all its tensors; no parameter needs a gradient.

    Raises:
        Exception: whatever a module that cannot be copied raises.
    """
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=False) for parameter in module.parameters()
    }
    memo |= {id(buffer): buffer.detach() for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


def to_channels_last(module: nn.Module) -> tuple[nn.Module, MemoryFormat]:
    """A copy whose convolutions have their weights channels last, all else shared; features follow the weights.

    Raises:
        Exception: whatever a module that cannot be copied raises.
    """
    network, is_3d = shared_copy(module), False
    for one in _convolutions(network):
        if "weight" in one._parameters:  # noqa: SLF001 – else it is computed
            one.weight = nn.Parameter(_laid_out(one.weight.detach()), requires_grad=False)
        is_3d |= isinstance(one, nn.Conv3d)
    return network, "channels_last_3d" if is_3d else "channels_last"


@contextmanager
def as_in_any_batch(network: nn.Module) -> Iterator[None]:
    """Let a run on one clip fail if a run on several would fail for the memory format.

    The kernel that torch takes for a convolution, and with it the memory format of the result, depends on the number
    of clips. So does whether features that are channels last can be viewed in another shape. Here every convolution
    returns channels last, and every view of what is not contiguous fails.
    """
    handles = [one.register_forward_hook(_lay_out) for one in _convolutions(network)]
    try:
        with _NoViews():
            yield
    finally:
        for handle in handles:
            handle.remove()


class _NoViews(TorchFunctionMode):
    """Refuses views of what is not contiguous; `reshape` and `flatten` copy where they must."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func in (Tensor.view, Tensor.view_as) and not args[0].is_contiguous():
            raise RuntimeError("it takes a view of features, which must be contiguous for that")
        return func(*args, **(kwargs or {}))


def _lay_out(_module: nn.Module, _inputs: Any, features: Any) -> Any:
    return _laid_out(features) if isinstance(features, Tensor) and features.ndim in (4, 5) else features


def _laid_out(tensor: Tensor) -> Tensor:
    """(N, D, h, w) or (N, D, t, h, w), channels last."""
    return tensor.contiguous(memory_format=torch.channels_last_3d if tensor.ndim == 5 else torch.channels_last)


def _convolutions(network: nn.Module) -> list[nn.Conv2d | nn.Conv3d]:
    return [one for one in network.modules() if isinstance(one, nn.Conv2d | nn.Conv3d)]


def halved(model: Model, half: torch.dtype) -> nn.Module:
    """A copy of the network with weights in 16 bits, in float32 for normalisations over batches; the classifier's stay.

    Args:
        model: left as it was.
        half: `torch.bfloat16` or `torch.float16`.

    Raises:
        ValueError: the network has no weights.
        Exception: whatever it raises if it is copied or run on a grey clip.
    """
    network, name = shared_copy(model.module), _classifier(model)
    classifier = network.get_submodule(name)
    own = next(classifier.parameters()).dtype
    for module in network.modules():
        if module is not classifier:
            _convert(module, torch.float32 if isinstance(module, _BatchNorm) else half)
    network.register_forward_pre_hook(partial(_cast, half))
    unsupported = [one for one in network.modules() if isinstance(one, nn.AvgPool3d)]  # no 16-bit kernel on a CPU
    for module in (_head_of(network, name), *unsupported):
        if module is not network:
            module.register_forward_pre_hook(partial(_cast, own))
    return network


def _classifier(model: Model) -> str:
    """Name of the last module with weights of its own, in the order in which they return on a grey clip."""
    network, names = shared_copy(model.module).eval(), list[str]()
    for name, module in network.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            module.register_forward_hook(lambda *_, name=name: names.append(name))
    with torch.no_grad(), torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        network(grey_input(model.spec).to(next(network.parameters(), torch.empty(0))))
    if not names:
        raise ValueError("it has no weights")
    return names[-1]


def _head_of(network: nn.Module, classifier: str) -> nn.Module:
    """The outermost module with no other weights than the classifier's: its pooling is in full precision too."""
    own = {id(parameter) for parameter in network.get_submodule(classifier).parameters()}
    names = classifier.split(".")
    holders = (network.get_submodule(".".join(names[:depth])) for depth in range(1, len(names) + 1))
    return next(holder for holder in holders if {id(parameter) for parameter in holder.parameters()} <= own)


def _convert(module: nn.Module, dtype: torch.dtype) -> None:
    """A module's own tensors; those that it shares with another module stay the other's."""
    for name, parameter in module.named_parameters(recurse=False):
        setattr(module, name, nn.Parameter(_of_dtype(parameter.detach(), dtype), requires_grad=False))
    for name, buffer in module.named_buffers(recurse=False):
        setattr(module, name, _of_dtype(buffer, dtype))


def _cast(dtype: torch.dtype, _module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_of_dtype(given, dtype) if isinstance(given, Tensor) else given for given in inputs)


def _of_dtype(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
