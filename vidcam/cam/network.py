"""Inputs, logits and classifier of a network.

The input is one tensor, or a list of tensors for several pathways (SlowFast). The output is (N, K); (N, K, t), averaged
over t; a tuple or list that begins with such a tensor; or an object or mapping with `logits`. If the network ends in a
softmax, log-softmax or sigmoid, its input is taken as the logits, because the gradient of a confident probability
vanishes. `LogitTracer` records these calls while the model runs. If the network computes something else from the
probabilities, the logits are not known and the output is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from vidcam.cam.graph import looks_like_probabilities
from vidcam.cam.preserve import FunctionMode
from vidcam.cam.weights import at_least_float32
from vidcam.devices import double
from vidcam.errors import InputError, NonFiniteError, ShapeError
from vidcam.results.explanation import Activation

Input = Tensor | Sequence[Tensor]
"""(N, C, T, H, W), or one such tensor for each pathway; (N, C, H, W) for image networks, (N, C, L) for signals."""

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

_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest difference of W·mean(A) + b from the logits, relative to the sum of the terms' absolute values."""


def pathways(clip: Input) -> tuple[Tensor, ...]:
    """The tensors of an input.

    Raises:
        ShapeError: not tensors, none, without axes to explain, or of different numbers of clips.
    """
    given: object = clip
    parts: tuple[object, ...] = tuple(given) if isinstance(given, Sequence) else (given,)
    tensors = tuple(part for part in parts if isinstance(part, Tensor) and part.ndim >= 3)
    if not tensors or len(tensors) < len(parts):
        raise ShapeError(
            "clip must be a tensor (N, C, T, H, W) or (N, C, H, W), or a list of tensors, got "
            + (", ".join(_described(part) for part in parts) or "an empty list")
        )
    if len({tensor.shape[0] for tensor in tensors}) > 1 or tensors[0].shape[0] == 0:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise ShapeError(f"all pathways must have the same number of clips, at least 1, got {shapes}")
    return tensors


def reference(clip: Input) -> Tensor:
    """Return the pathway with the most pixels, such as SlowFast's fast one; maps lie on its axes."""
    return max(pathways(clip), key=lambda tensor: tensor[0, 0].numel())


def first_clip(clip: Input) -> Input:
    """Return the first clip of the batch, N = 1."""
    return like_input(clip, [tensor[:1] for tensor in pathways(clip)])


def like_input(clip: Input, tensors: Sequence[Tensor]) -> Input:
    """Pack the tensors as the clip packs its pathways: one tensor, a tuple or a list."""
    if isinstance(clip, Tensor):
        return tensors[0]
    return tuple(tensors) if isinstance(clip, tuple) else list(tensors)


def ordinary(clip: Input) -> Input:
    """Copy tensors made in inference mode, which autograd cannot keep. A list is always a new one."""
    tensors = pathways(clip)
    if not any(tensor.is_inference() for tensor in tensors):
        return like_input(clip, tensors)
    with torch.inference_mode(mode=False):
        copies = [tensor.clone() if tensor.is_inference() else tensor for tensor in tensors]
    return like_input(clip, copies)


def require_ordinary(model: nn.Module) -> None:
    """Check that no weight was made in inference mode."""
    tensors = chain(model.named_parameters(), model.named_buffers())
    odd = next((name for name, tensor in tensors if tensor.is_inference()), None)
    if odd is not None:
        raise InputError(f"weight {odd!r} was made in torch.inference_mode; build or load the model outside of it")


def require_apart(model: nn.Module, clips: int) -> None:
    """Check that no normalisation mixes the clips of the batch."""
    norms = ((name, m) for name, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))  # noqa: SLF001
    mixing = next((name for name, norm in norms if norm.running_mean is None), None)
    if clips > 1 and mixing is not None:
        raise InputError(
            f"layer {mixing!r} uses batch statistics, which mix the {clips} clips; pass one clip at a time"
        )


def require_rows(scores: Tensor, clips: int) -> None:
    """One row of scores for each clip."""
    if scores.shape[0] != clips:
        raise ShapeError(f"the model returns {tuple(scores.shape)} for {clips} clips, expected one row for each clip")


class LogitTracer(FunctionMode):
    """Record the input of each softmax and sigmoid while it is active, as long as the result exists."""

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


def class_scores(output: Any, tracer: LogitTracer | None = None) -> tuple[Tensor, Activation | None]:
    """Logits (N, K), float32 at least, of a model's output.

    Args:
        output: what the model returned.
        tracer: active while it ran.

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
            f"the model returns {got}, expected logits (N, K) or (N, K, t); pass a function of its output as target"
        )
    found = None if tracer is None else tracer.before(scores)
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
    """Logits (N, K) of a model that `preserve_model` holds; see `class_scores`."""
    with LogitTracer() as tracer:
        return class_scores(model(clip), tracer)[0]


def require_finite(tensor: Tensor, what: str) -> None:
    """Raise a `NonFiniteError` that names the tensor if it holds NaN or infinity."""
    values = tensor.detach()
    if bool(torch.isfinite(values.sum())):  # one quick pass; what is not finite never leaves a sum
        return
    if not bool(torch.isfinite(values).all()):  # or the sum alone was too large
        raise NonFiniteError(
            f"{what} contain NaN or infinity, expected finite numbers; check the weights and the input"
        )


def classifier_weights(network: nn.Module, activations: Tensor, scores: Tensor) -> Tensor:
    """Return the weights W of a linear classifier, for `cam` (GC++ eq. 1–2).

    W exists if the head is global average pooling and one linear layer: S = W·mean(A) + b. This is checked on the given
    clips.

    Args:
        network: the network without wrappers. The last layer that fits is used: linear, or a convolution with kernels
            of one cell.
        activations: A, (N, D, t, h, w).
        scores: S, (N, K).

    Returns:
        (K, D).

    Raises:
        InputError: no such layer explains the scores.
    """
    pooled = at_least_float32(activations).flatten(2).mean(dim=2)
    rounding = _ROUNDING.get(activations.dtype, 2e-2)
    for module in reversed(list(network.modules())):
        weight = _linear_weight(module)
        if weight is None or weight.shape != (scores.shape[1], activations.shape[1]):
            continue
        weight = weight.detach().to(pooled)
        given = getattr(module, "bias", None)
        bias = weight.new_zeros(len(weight)) if given is None else given.detach().to(pooled)
        sizes = pooled.abs() @ weight.abs().T + bias.abs()
        if float((pooled @ weight.T + bias - scores.detach()).abs().max()) <= rounding * float(sizes.max()):
            return weight
    raise InputError("cam needs global average pooling and one linear layer after the target layer; use gradcam")


def _require_logits(scores: Tensor) -> None:
    rows = double(scores.detach())
    logarithms, shares = _are_shares(rows.exp()), _are_shares(rows)
    what = looks_like_probabilities(scores)
    if scores.shape[1] > 1 and (shares or logarithms):
        what = "probabilities (each row adds up to 1)" if shares else "logarithms of probabilities"
    if what is not None:
        raise InputError(f"the model returns {what}, expected logits: return the scores before the softmax or sigmoid")


def _are_shares(rows: Tensor) -> bool:
    return bool((rows >= 0).all()) and bool(((rows.sum(dim=1) - 1).abs() < 1e-4).all())


def _linear_weight(module: nn.Module) -> Tensor | None:
    """(K, D) of a linear layer or a convolution of one cell; None for all else."""
    if isinstance(module, nn.Linear):
        return module.weight
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and module.groups == 1:
        return module.weight.flatten(1) if max(module.kernel_size) == 1 else None
    return None


def _described(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
