"""Inputs and scores of a network.

The input is one tensor, or a list of tensors for several pathways (SlowFast). The output is (N, K); (N, K, t) or
(N, T, K), averaged over time; a tuple or list that holds such a tensor; or an object or mapping with `logits`. A
softmax, log-softmax or sigmoid at its end is undone, also one that is scaled or averaged; see `tracer`. If the network
computes something else from the probabilities, the logits are not known and the output is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.graph import looks_like_probabilities
from vidcam.cam.outputs import Product, choose_tensor, rows_of, score_tensors
from vidcam.cam.preserve import Undo
from vidcam.cam.state import same_state
from vidcam.cam.tracer import LogitTracer
from vidcam.cam.weights import at_least_float32
from vidcam.devices import double
from vidcam.errors import InputError, NonFiniteError, ShapeError
from vidcam.results.explanation import Activation

Input = Tensor | Sequence[Tensor]
"""(N, C, T, H, W), or one such tensor for each pathway; (N, C, H, W) for image networks, (N, C, L) for signals."""


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


def reference(clip: Input, axes: Axes | None = None) -> Tensor:
    """Return the pathway with the most pixels, such as SlowFast's fast one, as (N, C, ...); maps lie on its axes.

    Args:
        clip: the input.
        axes: of each pathway; None: they are (N, C, ...) already.
    """
    views = pathways(clip) if axes is None else (axes.view(part) for part in pathways(clip))
    return max(views, key=lambda tensor: tensor[0, 0].numel())


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


@dataclass(frozen=True, slots=True, eq=False)
class ClassScores:
    """What a model's output holds.

    Attributes:
        logits: (N, K), float32 at least, with its graph.
        activation: the function that the model puts behind them; a sigmoid behind a single score; None if not known.
        notes: what was taken for classes, where it is not plainly (N, K).
    """

    logits: Tensor
    activation: Activation | None
    notes: tuple[str, ...] = ()


def read_scores(
    output: Any,
    tracer: LogitTracer | None = None,
    *,
    activation: Activation | None = None,
    classes: int | None = None,
    frames: Collection[int] | None = None,
) -> ClassScores:
    """Scores (N, K) of a model's output.

    Args:
        output: what the model returned.
        tracer: active while it ran.
        activation: what the caller says is behind the logits; `none`: the output is values, and nothing is undone.
        classes: K, if known.
        frames: lengths that the axis T of (N, T, K) may have; None for any.

    Raises:
        ShapeError: the output holds no (N, K), (N, K, t) or (N, T, K), or it cannot be told.
        InputError: it is probabilities or their logarithms, and the function that made them is not its end.
    """
    tensors = score_tensors(output)
    if not tensors or tensors[0].ndim not in (1, 2, 3):
        got = f"a tensor of shape {tuple(tensors[0].shape)}" if tensors else type(output).__name__
        raise ShapeError(
            f"the model returns {got}, expected logits (N, K), (N, K, t) or (N, T, K); pass a function of its output "
            f"as target"
        )
    scores, notes = choose_tensor(tensors, _products(tensors, tracer), classes)
    found = None if tracer is None or activation == "none" else tracer.before(scores)
    logits, end, undone = (scores, None, ()) if found is None else found
    if classes is None and tracer is not None and scores.ndim == 3:
        classes = tracer.classes(scores)
    logits, taken = rows_of(logits, classes, frames)
    logits = at_least_float32(logits)
    notes = (*notes, *undone, *taken)
    if activation != "none" and found is None:
        _require_logits(logits)
        if logits.shape[1] == 1:  # a softmax of one score is 1, whatever the score
            end = "sigmoid"
            notes = notes if activation else (*notes, ONE_SCORE)
    return ClassScores(logits, end, notes)


ONE_SCORE = (
    "The model returns one score. It was taken for the logit of a probability; if it is a value, pass "
    "activation='none'."
)


def scores_tensor(output: Any, tracer: LogitTracer | None = None) -> Tensor | None:
    """The tensor of a model's output that `read_scores` reads; the first if that cannot be told; None if none."""
    tensors = score_tensors(output)
    try:
        return choose_tensor(tensors, _products(tensors, tracer), None)[0] if tensors else None
    except ShapeError:
        return tensors[0]


def _products(tensors: Sequence[Tensor], tracer: LogitTracer | None) -> dict[int, Product]:
    """Position → the classifier that made this tensor, for those that one made."""
    products = {} if tracer is None else {index: tracer.product(tensor) for index, tensor in enumerate(tensors)}
    return {index: product for index, product in products.items() if product is not None}


def predicted(
    model: nn.Module,
    clip: Input,
    *,
    activation: Activation | None = None,
    classes: int | None = None,
    is_traced: bool = True,
) -> ClassScores:
    """Run a model that `preserve_model` holds, leave its state, and read its scores; see `read_scores`.

    A softmax or sigmoid at the model's end is found if it is traced, which costs up to a tenth of the pass of a small
    network.
    """
    tracer = LogitTracer() if is_traced else None
    with Undo() as undo, undo, tracer or nullcontext(), same_state(model, undo):
        return read_scores(model(clip), tracer, activation=activation, classes=classes)


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
    rows = double(scores.detach())
    logarithms, shares = _are_shares(rows.exp()), _are_shares(rows)
    what = looks_like_probabilities(scores)
    if scores.shape[1] > 1 and (shares or logarithms):
        what = "probabilities (each row adds up to 1)" if shares else "logarithms of probabilities"
    if what is not None:
        raise InputError(f"the model returns {what}, expected logits: return the scores before the softmax or sigmoid")


def _are_shares(rows: Tensor) -> bool:
    return bool((rows >= 0).all()) and bool(((rows.sum(dim=1) - 1).abs() < 1e-4).all())


def _described(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
