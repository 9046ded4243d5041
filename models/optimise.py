"""Make a faster copy of a network: convolutions in channels-last format and, optionally, half precision.

The original network is never modified. Use it for everything that reads or changes weights. The copy has the same
module names and shares all weights that it does not convert.

Channels-last gives the same results up to rounding. Half precision does not: the activations keep 8 significant bits in
bfloat16 and 11 in float16. The classifier, which is the last module with weights, keeps the network's own precision.
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

from vidcam.devices import kept_random_state, rounds_to_tf32
from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.models.model import PRECISIONS, Forward, MemoryFormat, Model, Precision
from vidcam.preprocess import grey_input

Result = TypeVar("Result")

_WRAPPERS = {"OptimizedModule", "DataParallel", "DistributedDataParallel"}


def optimise_model(
    model: Model, run: Callable[[Model], Result], *, precision: Precision = "float32"
) -> tuple[Model, Forward, Result]:
    """Return the model with a faster copy of its network, or the model itself if the copy fails a test run.

    Args:
        model: the model. It is not modified.
        run: function that runs a model on one clip. It tests the channels-last copy. If that fails, it is called again
            with the model without that copy.
        precision: precision of all layers before the classifier.

    Returns:
        The model to use, its forward settings, and the result of `run` for it.

    Raises:
        InputError: the precision is unknown or not available on this device, or the network cannot run in it.
        Exception: any error of `run` with the model without the channels-last copy.
    """
    _require_precision(precision, model.device)
    reason, tf32 = _reason_against_copy(model.module), precision == "float32" and rounds_to_tf32(model.device)
    if precision != "float32":
        model = _with_half_precision(model, precision, reason)
    reason = reason or _reason_against_channels_last(model.module, model.device, precision)
    if not reason:
        try:
            network, memory_format = to_channels_last(model.module)
            faster = replace(model, module=network)
            with simulate_any_batch_size(network):
                return faster, Forward(memory_format, precision, tf32=tf32), run(faster)
        except Exception as exc:  # a user's network may raise anything
            reason = f"the channels-last copy failed: {first_line(exc)}"
    return model, Forward("contiguous", precision, reason, tf32), run(model)


def apply_forward(model: Model, forward: Forward) -> Model:
    """Return the model that `optimise_model` returned with these settings, without a test run.

    Raises:
        InputError: as `optimise_model`.
    """
    _require_precision(forward.precision, model.device)
    if forward.precision != "float32":
        model = _with_half_precision(model, forward.precision, _reason_against_copy(model.module))
    if forward.memory_format == "contiguous":
        return model
    network, _ = to_channels_last(model.module)
    return replace(model, module=network)


def _require_precision(precision: str, device: torch.device) -> None:
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "fp16" and device.type == "cpu":
        raise InputError("precision fp16 needs a GPU; pass bf16 or float32 on a CPU")


def _reason_against_copy(module: nn.Module) -> str:
    """Return why the network cannot be copied, or an empty string."""
    modules = list(module.modules())
    if any(type(part).__name__ in _WRAPPERS or isinstance(part, torch.jit.ScriptModule) for part in modules):
        return "it is compiled, scripted or wrapped"
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        return "its weights have no shapes yet"
    return "it has hooks" if any(_has_hooks(part, is_root=part is module) for part in modules) else ""


def _has_hooks(module: nn.Module, *, is_root: bool) -> bool:
    """Return whether a module has hooks. Pre-hooks of the root module are allowed, because they prepare the input."""
    hooks = [module._forward_hooks, module._backward_hooks, module._backward_pre_hooks]  # noqa: SLF001
    return any(hooks) or (bool(module._forward_pre_hooks) and not is_root)  # noqa: SLF001


def _reason_against_channels_last(module: nn.Module, device: torch.device, precision: Precision) -> str:
    """Return why channels-last would not be faster, or an empty string."""
    if device.type != "cpu" and precision == "float32":  # cuDNN's fast channels-last kernels are for half precision
        return f"channels-last is not faster in float32 on {device.type}"
    if not any(map(_has_own_weight, _convolutions(module))):
        return "it has no 2-D or 3-D convolutions with weights of their own"
    if any(isinstance(part, nn.LayerNorm) for part in module.modules()):
        return "it has layer normalisation: channels-last is not faster for transformers"
    return ""


def _has_own_weight(convolution: nn.Module) -> bool:
    """Return whether the weight is a parameter. A parametrisation computes it instead."""
    return "weight" in convolution._parameters  # noqa: SLF001


def _with_half_precision(model: Model, precision: Precision, reason: str) -> Model:
    """Return the model with a half-precision copy of its network.

    Raises:
        InputError: `reason` is not empty, or the network cannot be copied, fails to run, or has no weights.
    """
    if not reason:
        try:
            return replace(model, module=to_half(model, torch.bfloat16 if precision == "bf16" else torch.float16))
        except Exception as exc:
            reason = first_line(exc)
    raise InputError(f"model {model.spec.name!r} cannot run in {precision} ({reason}); use precision float32")


def shared_copy(module: nn.Module) -> nn.Module:
    """Copy a network. The copy shares all tensors, and its parameters do not require gradients.

    Raises:
        Exception: any error of a module that cannot be copied.
    """
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=False) for parameter in module.parameters()
    }
    memo |= {id(buffer): buffer.detach() for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


def to_channels_last(module: nn.Module) -> tuple[nn.Module, MemoryFormat]:
    """Copy a network with the weights of its convolutions in channels-last format. All other tensors are shared.

    The outputs of the convolutions follow the format of the weights.

    Raises:
        Exception: any error of a module that cannot be copied.
    """
    network, is_3d = shared_copy(module), False
    for convolution in _convolutions(network):
        if _has_own_weight(convolution):
            convolution.weight = nn.Parameter(_channels_last(convolution.weight.detach()), requires_grad=False)
        is_3d |= isinstance(convolution, nn.Conv3d)
    return network, "channels_last_3d" if is_3d else "channels_last"


@contextmanager
def simulate_any_batch_size(network: nn.Module) -> Iterator[None]:
    """Make a run on one clip fail if a run on several clips could fail because of the memory format.

    Torch chooses the kernel of a convolution by the batch size, and the kernel decides the memory format of the output.
    The batch size also decides whether `view` can change the shape of channels-last features. In this context every
    convolution returns channels-last, and `view` fails on every tensor that is not contiguous.
    """
    handles = [module.register_forward_hook(_output_channels_last) for module in _convolutions(network)]
    try:
        with _ForbidViews():
            yield
    finally:
        for handle in handles:
            handle.remove()


class _ForbidViews(TorchFunctionMode):
    """Make `view` fail on tensors that are not contiguous. `reshape` and `flatten` still work: they copy."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func in (Tensor.view, Tensor.view_as) and not args[0].is_contiguous():
            raise RuntimeError("it calls view() on features, which requires contiguous memory")
        return func(*args, **(kwargs or {}))


def _output_channels_last(_module: nn.Module, _inputs: Any, features: Any) -> Any:
    return _channels_last(features) if isinstance(features, Tensor) and features.ndim in (4, 5) else features


def _channels_last(tensor: Tensor) -> Tensor:
    """Return (N, D, h, w) or (N, D, t, h, w) in channels-last format."""
    return tensor.contiguous(memory_format=torch.channels_last_3d if tensor.ndim == 5 else torch.channels_last)


def _convolutions(network: nn.Module) -> list[nn.Conv2d | nn.Conv3d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]


def to_half(model: Model, half: torch.dtype) -> nn.Module:
    """Copy the network in half precision. Batch normalisation is in float32; the classifier keeps its dtype.

    Raises:
        ValueError: the network has no weights.
        Exception: any error of copying the network or running it on a grey clip.
    """
    network, name = shared_copy(model.module), _find_classifier(model)
    classifier = network.get_submodule(name)
    own_dtype = next(classifier.parameters()).dtype
    for module in network.modules():
        if module is not classifier:
            _convert(module, torch.float32 if isinstance(module, _BatchNorm) else half)
    network.register_forward_pre_hook(partial(_cast_inputs, half))
    poolings = [module for module in network.modules() if isinstance(module, nn.AvgPool3d)]  # no half kernel on a CPU
    for module in (_find_head(network, name), *poolings):
        if module is not network:
            module.register_forward_pre_hook(partial(_cast_inputs, own_dtype))
    return network


def _find_classifier(model: Model) -> str:
    """Run the network on a grey clip and return the name of the last module that runs and has its own weights."""
    network, names = shared_copy(model.module).eval(), list[str]()
    for name, module in network.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            module.register_forward_hook(lambda *_, name=name: names.append(name))
    with torch.no_grad(), kept_random_state(model.device):
        network(grey_input(model.spec).to(next(network.parameters(), torch.empty(0))))
    if not names:
        raise ValueError("it has no weights")
    return names[-1]


def _find_head(network: nn.Module, classifier: str) -> nn.Module:
    """Return the outermost module whose only weights are the classifier's. Its pooling is in full precision too."""
    own = {id(parameter) for parameter in network.get_submodule(classifier).parameters()}
    names = classifier.split(".")
    parents = (network.get_submodule(".".join(names[:depth])) for depth in range(1, len(names) + 1))
    return next(parent for parent in parents if {id(parameter) for parameter in parent.parameters()} <= own)


def _convert(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert a module's own tensors. A tensor that is shared with another module is not changed there."""
    for name, parameter in module.named_parameters(recurse=False):
        setattr(module, name, nn.Parameter(_cast(parameter.detach(), dtype), requires_grad=False))
    for name, buffer in module.named_buffers(recurse=False):
        setattr(module, name, _cast(buffer, dtype))


def _cast_inputs(dtype: torch.dtype, _module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_cast(value, dtype) if isinstance(value, Tensor) else value for value in inputs)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
