"""What a network does, operation by operation, found on tensors that have shapes and no values.

A network that runs on them does the same whatever a clip shows: an operation that looks at values fails there. So what
is seen once – which operation takes which tensor, which module returned it – holds for every clip of that shape.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def copied(module: nn.Module, tensor: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of a network whose parameters and buffers are `tensor` of its own; none of them needs a gradient.

    Args:
        module: left as it was.
        tensor: what becomes of each, detached; the same tensor back for a copy that shares it.

    Raises:
        Exception: whatever a module that cannot be copied raises.
    """
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(tensor(parameter.detach()), requires_grad=False)
        for parameter in module.parameters()
    }
    memo |= {id(buffer): tensor(buffer.detach()) for buffer in module.buffers()}
    return copy.deepcopy(module, memo)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One of torch's own operations.

    Attributes:
        name: 'aten::convolution'.
        inputs: the tensors among its arguments; their storages are compared, so that a view counts as its base.
        arguments: in order, as given.
        result: of whatever it returns, the first tensor; None if there is none.
    """

    name: str
    inputs: tuple[Tensor, ...]
    arguments: tuple[Any, ...]
    result: Tensor | None

    def takes(self, tensor: Tensor) -> bool:
        """Whether a tensor, or a view of it, is among the arguments."""
        return any(is_of(tensor, given) for given in self.inputs)


@dataclass(slots=True, eq=False)
class Call:
    """One run of a module: the operations [first, last) happened in it, and it returned `outputs`."""

    name: str
    module: nn.Module
    first: int
    last: int = -1
    outputs: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Everything that happened in one run; `calls` in the order in which modules returned, the network itself last."""

    operations: list[Operation] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Of the operations."""
        return [operation.name for operation in self.operations]

    def of(self, call: Call) -> list[Operation]:
        """The operations that happened in one call."""
        return self.operations[call.first : call.last]

    def taking(self, tensor: Tensor) -> list[Operation]:
        """The operations that take a tensor or a view of it."""
        return [operation for operation in self.operations if operation.takes(tensor)]

    def returning(self, tensor: Tensor) -> Iterator[str]:
        """Names of the modules that return a tensor or a view of it; '' for the network itself."""
        return (call.name for call in self.calls if any(is_of(tensor, output) for output in call.outputs))


def is_of(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors lie in the same memory, or would."""
    return bool(one.untyped_storage()._cdata == other.untyped_storage()._cdata)  # noqa: SLF001 – there is no other name


def trace(module: nn.Module, shape: tuple[int, ...], *, change: Callable[[nn.Module], None] = lambda _: None) -> Trace:
    """Run a copy of a network, in evaluation mode, on a clip without values.

    Args:
        module: left as it was.
        shape: of the clip.
        change: is given the copy before it runs.

    Raises:
        Exception: whatever it raises, such as torch's own for a network that looks at values.
    """
    bare = copied(module, lambda tensor: tensor.to("meta")).eval()
    change(bare)
    found, open_calls = Trace(), list[Call]()

    def before(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, _: open_calls.append(Call(name, module, len(found.operations)))

    def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
        call = open_calls.pop()
        call.last, call.outputs = len(found.operations), _tensors(output)
        found.calls.append(call)

    with ExitStack() as stack:
        for name, inner in bare.named_modules():
            inner.register_forward_pre_hook(before(name))
            inner.register_forward_hook(after)
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.device("meta"))
        stack.enter_context(_Watch(found.operations))
        bare(torch.empty(shape, dtype=_floating_dtype(bare)))
    return found


def runs_channels_last(module: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether a network runs if every convolution returns its features channels last; one that takes views may not."""
    try:
        trace(module, (2, *shape[1:]), change=_channels_last)
    except Exception:  # any class may be in a network
        return False
    return True


def _channels_last(network: nn.Module) -> None:
    """Whichever kernel torch would take: that depends on the number of clips, too."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            layout = torch.channels_last_3d if isinstance(module, nn.Conv3d) else torch.channels_last
            module.register_forward_hook(
                lambda _module, _inputs, output, layout=layout: output.contiguous(memory_format=layout)
            )


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation. The tensors are kept, so that no two of them ever share a place."""

    def __init__(self, operations: list[Operation]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._operations = operations

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        first = next(iter(_tensors(result)), None)
        self._operations.append(Operation(func.name(), _tensors((args, kwargs)), args, first))
        return result


def _tensors(value: Any) -> tuple[Tensor, ...]:
    return tuple(leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _floating_dtype(module: nn.Module) -> torch.dtype:
    kinds = (tensor.dtype for tensor in module.parameters() if tensor.is_floating_point())
    return next(kinds, torch.float32)
