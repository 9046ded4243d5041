"""Record, while a model runs, what went into each softmax and sigmoid and which classifier made which tensor.

If a network ends in a softmax, log-softmax or sigmoid, its input is taken as the logits, because the gradient of a
confident probability vanishes. The size of the last classifier tells which axis of an output has the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from vidcam.cam.outputs import Normalisation, Product, undo
from vidcam.cam.preserve import FunctionMode
from vidcam.results.explanation import Activation

_ENDS: dict[Callable[..., Any], Activation] = {
    **dict.fromkeys((torch.softmax, torch.special.softmax, functional.softmax, Tensor.softmax), "softmax"),
    **dict.fromkeys(
        (torch.log_softmax, torch.special.log_softmax, functional.log_softmax, Tensor.log_softmax), "softmax"
    ),
    **dict.fromkeys((torch.sigmoid, torch.special.expit, functional.sigmoid, Tensor.sigmoid), "sigmoid"),
    **dict.fromkeys((torch.sigmoid_, Tensor.sigmoid_, functional.logsigmoid), "sigmoid"),
}

_PRODUCTS: dict[Callable[..., Any], int] = {
    functional.linear: -1,
    functional.bilinear: -1,
    torch.matmul: -1,
    Tensor.matmul: -1,
    Tensor.__matmul__: -1,
    torch.mm: -1,
    torch.bmm: -1,
    torch.conv1d: 1,
    torch.conv2d: 1,
    torch.conv3d: 1,
}
"""Calls that may be a classifier → the axis of its classes."""

_JOINS: frozenset[Callable[..., Any]] = frozenset(
    getattr(owner, name)
    for owner in (torch, Tensor)
    for name in (
        *("mean", "sum", "flatten", "unflatten", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "movedim"),
        "clone",
        *("mul", "div", "add", "sub", "amax", "stack", "cat", "view", "contiguous", "float", "double", "to", "half"),
        *("__getitem__", "__mul__", "__rmul__", "__truediv__", "__add__", "__radd__", "__sub__"),
    )
    if callable(getattr(owner, name, None))  # torch.float is a dtype
) | {
    functional.adaptive_avg_pool1d,
    functional.adaptive_avg_pool2d,
    functional.adaptive_avg_pool3d,
    functional.avg_pool1d,
    functional.avg_pool2d,
    functional.avg_pool3d,
}
"""Calls after which a tensor is still what its classifier made."""

_IN_PLACE = {torch.sigmoid_, Tensor.sigmoid_}


class LogitTracer(FunctionMode):
    """Record the input of each softmax and sigmoid, and the classifiers, as long as what they returned exists."""

    def __init__(self) -> None:
        super().__init__()
        self._noted = WeakTensorKeyDictionary()  # result → Normalisation; attention's do not pile up
        self._last: Tensor | None = None  # kept, for a view of it may be all that the model returns
        self._made: MutableMapping[Tensor, Product] = WeakTensorKeyDictionary()  # result → what made it
        self._last_size: int | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call through; keep what went into a softmax, a sigmoid or a classifier."""
        named = kwargs or {}
        if func in _ENDS:
            return self._normalise(func, args, named)
        result = func(*args, **named)
        if func in _PRODUCTS:
            self._note_product(result, args, _PRODUCTS[func])
        elif func in _JOINS:
            first = args[0] if args else None
            source = first[0] if isinstance(first, tuple | list) and first else first
            if isinstance(source, Tensor) and isinstance(result, Tensor) and source in self._made:
                self._made[result] = self._made[source]
        elif args and result is args[0] and isinstance(result, Tensor) and result in self._made:
            del self._made[result]  # an activation in place
        return result

    def _normalise(self, func: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        given = args[0] if args else named["input"]
        given = given.clone() if func in _IN_PLACE else given
        result = func(*args, **named)
        activation = _ENDS[func]
        axis = _softmax_axis(result, args, named) if activation == "softmax" and isinstance(result, Tensor) else None
        if isinstance(result, Tensor) and axis != 0:  # classes do not lie on the axis of the clips
            self._noted[result] = Normalisation(given, activation, axis)
            self._last = result
        return result

    def _note_product(self, result: Any, args: tuple[Any, ...], axis: int) -> None:
        if isinstance(result, Tensor) and result.ndim > 1 and args and isinstance(args[0], Tensor):
            self._last_size = int(result.shape[axis])
            self._made[result] = Product(ref(args[0]), self._last_size)

    def before(self, output: Tensor) -> tuple[Tensor, Activation, tuple[str, ...]] | None:
        """The logits that became `output`, by what, and a note; None where no softmax or sigmoid is the end."""
        result = output if output in self._noted else self._last
        if result is None:
            return None
        call: Normalisation = self._noted[result]
        undone = undo(call, result, output)
        return None if undone is None else (undone[0], call.activation, undone[1])

    def product(self, tensor: Tensor) -> Product | None:
        """The classifier whose output a tensor is, also behind a softmax or a mean."""
        if tensor in self._noted:
            tensor = self._noted[tensor].given
        return self._made.get(tensor)

    def classes(self, tensor: Tensor) -> int | None:
        """The size of the classifier that made a tensor; of the last one that ran if that is not known."""
        product = self.product(tensor)
        return self._last_size if product is None else product.size


def _softmax_axis(result: Tensor, args: tuple[Any, ...], named: Mapping[str, Any]) -> int | None:
    """The axis of a softmax, >= 0."""
    dim = named.get("dim", args[1] if len(args) > 1 else None)
    if not isinstance(dim, int):  # torch's own choice then: the classes of (N, K), the first axis of (N, K, t)
        return 0 if result.ndim == 3 else None
    return dim % result.ndim if result.ndim > 1 else None
