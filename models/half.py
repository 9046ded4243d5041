"""A network in 16 bits, which is not exact: activations of the trunk keep 8 (bfloat16) or 11 (float16) bits.

The classifier, the last module with weights, works in the network's own precision.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vidcam.models.memory_format import shared_copy
from vidcam.models.model import Model
from vidcam.preprocess import grey_input


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
