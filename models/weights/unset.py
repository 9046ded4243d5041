"""Build a network without computing the initial values of its parameters, which takes longer than loading them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_WRITES = frozenset(
    {
        Tensor.uniform_,
        Tensor.normal_,
        Tensor.fill_,
        Tensor.zero_,
        Tensor.erfinv_,
        Tensor.mul_,
        Tensor.add_,
        Tensor.clamp_,
    }
)


class UnsetParameters(TorchFunctionMode):
    """Within this mode, what `torch.nn.init` would write into a parameter is not written; buffers are as always.

    The parameters hold whatever is in memory, so every one of them must be loaded afterwards. Only the thread that
    enters the mode is affected.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function of torch, unless it writes into a parameter."""
        named = kwargs or {}
        if func in _WRITES or getattr(func, "__module__", None) == nn.init.__name__:
            tensor = args[0] if args else named["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        return func(*args, **named)
