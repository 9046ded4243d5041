"""Convolutions channels last: faster on a CPU, the same numbers up to rounding."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from vidcam.models.optimise import MemoryFormat


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


def channels_last(module: nn.Module) -> tuple[nn.Module, MemoryFormat]:
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
