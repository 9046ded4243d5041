"""From what a model returns to its logits (N, K).

A model may return (N, K), (N, K, t) that are averaged over t, a tuple or list whose first tensor it is, or an object
or mapping with `logits`. Where the output is what a softmax, log-softmax or sigmoid returned, the tensor that went into
it is taken: the gradient of a confident probability vanishes. `Ends` notes these calls while the model runs. Where
more follows than another shape for the same numbers, they cannot be taken off: what is seen to be probabilities or
their logarithms is refused then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from vidcam.cam.probabilities import disguised
from vidcam.cam.weights import at_least_float32
from vidcam.errors import InputError, NonFiniteError, ShapeError
from vidcam.results.explanation import Activation

_ENDS: dict[Callable[..., Any], Activation] = {
    torch.softmax: "softmax",
    torch.log_softmax: "softmax",
    torch.special.softmax: "softmax",
    torch.special.log_softmax: "softmax",
    functional.softmax: "softmax",
    functional.log_softmax: "softmax",
    Tensor.softmax: "softmax",
    Tensor.log_softmax: "softmax",
    torch.sigmoid: "sigmoid",
    torch.special.expit: "sigmoid",
    functional.sigmoid: "sigmoid",
    Tensor.sigmoid: "sigmoid",
    torch.sigmoid_: "sigmoid",
    Tensor.sigmoid_: "sigmoid",
    functional.logsigmoid: "sigmoid",
}

_IN_PLACE = {torch.sigmoid_, Tensor.sigmoid_}


class Ends(TorchFunctionMode):
    """Notes what went into each softmax and sigmoid while it is active, for as long as somebody holds the result."""

    def __init__(self) -> None:
        super().__init__()
        self._noted = WeakTensorKeyDictionary()  # result → (what went in, activation); attention's do not pile up
        self._last: Tensor | None = None  # kept, for a view of it may be all that the model returns

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call through; keep what went into a softmax or sigmoid."""
        named = kwargs or {}
        if func not in _ENDS:
            return func(*args, **named)
        given = args[0] if args else named["input"]
        given = given.clone() if func in _IN_PLACE else given
        result = func(*args, **named)
        if isinstance(result, Tensor) and not (_ENDS[func] == "softmax" and _is_over_clips(result, args, named)):
            self._noted[result] = given, _ENDS[func]
            self._last = result
        return result

    def before(self, output: Tensor) -> tuple[Tensor, Activation] | None:
        """The logits that became `output`, and by what; None where it is no such call's result, in whatever shape."""
        result = output if output in self._noted else self._last
        if result is None or result.numel() != output.numel():
            return None
        if result is not output and not torch.equal(result.to(output.dtype).flatten(), output.flatten()):
            return None
        given, activation = self._noted[result]
        return given.reshape(output.shape), activation


def _is_over_clips(result: Tensor, args: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    """Whether a softmax went over the first axis, where classes do not lie."""
    dim = named.get("dim", args[1] if len(args) > 1 else None)
    if not isinstance(dim, int):  # torch's own choice then: the classes of (N, K), the first axis of (N, K, t)
        return result.ndim == 3
    return result.ndim > 1 and dim % result.ndim == 0


def class_scores(output: Any, ends: Ends | None = None) -> tuple[Tensor, Activation | None]:
    """Logits (N, K), float32 at least, of a model's output.

    Args:
        output: what the model returned.
        ends: active while it ran.

    Returns:
        The logits, and the function that the model puts behind them if it has one; a sigmoid behind a single score.

    Raises:
        ShapeError: the output holds no (N, K) or (N, K, t).
        InputError: it is probabilities or their logarithms, and the function that made them is not its end.
    """
    scores = first_tensor(output)
    if scores is None or scores.ndim not in (2, 3):
        got = f"a tensor of shape {tuple(scores.shape)}" if scores is not None else type(output).__name__
        raise ShapeError(
            f"the model returns {got}, expected logits (N, K) or (N, K, t); wrap it so that it returns them, or pass "
            f"a function of its output as the target"
        )
    found = None if ends is None else ends.before(scores)
    logits, activation = (scores, None) if found is None else found
    logits = at_least_float32(logits if logits.ndim == 2 else logits.mean(dim=2))
    if found is None:
        _require_logits(logits)
        activation = "sigmoid" if logits.shape[1] == 1 else None  # a softmax of one score is 1, whatever the score
    return logits, activation


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that a model's output is or holds first; `logits` of an object or mapping."""
    if isinstance(output, Mapping):
        output = output.get("logits")
    elif hasattr(output, "logits"):
        output = output.logits
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def predicted(model: nn.Module, clip: Tensor) -> Tensor:
    """Logits (N, K) of a model that `untouched` holds; see `class_scores`."""
    with Ends() as ends:
        return class_scores(model(clip), ends)[0]


def require_finite(tensor: Tensor, what: str) -> None:
    """Raise a `NonFiniteError` that names the tensor if it holds NaN or infinity."""
    values = tensor.detach()
    if bool(torch.isfinite(values.sum())):  # one quick pass; what is not finite never leaves a sum
        return
    if not bool(torch.isfinite(values).all()):  # or the sum alone was too large
        raise NonFiniteError(
            f"{what} contain NaN or infinity, expected finite numbers; check the weights and the input"
        )


def _require_logits(scores: Tensor) -> None:
    rows = scores.detach().double()
    logarithms, shares = _are_shares(rows.exp()), _are_shares(rows)
    what = disguised(scores)
    if scores.shape[1] > 1 and (shares or logarithms):
        what = "probabilities (each row adds up to 1)" if shares else "logarithms of probabilities"
    if what is not None:
        raise InputError(
            f"the model returns {what}, expected logits, because the gradient of a confident probability vanishes; "
            f"let it return the scores before the softmax or sigmoid"
        )


def _are_shares(rows: Tensor) -> bool:
    return bool((rows >= 0).all()) and bool(((rows.sum(dim=1) - 1).abs() < 1e-4).all())
