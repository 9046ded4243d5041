"""The scores in a model's output: which tensor holds them, which axis the classes, what undoes a softmax.

Pure functions of tensors; `network.read_scores` uses them with what a `LogitTracer` saw.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor

from vidcam.cam.weights import at_least_float32
from vidcam.devices import double
from vidcam.errors import ShapeError
from vidcam.results.explanation import Activation


@dataclass(frozen=True, slots=True, eq=False)
class Normalisation:
    """A call of softmax or sigmoid.

    Attributes:
        given: what went in.
        activation: which of them.
        axis: the axis of a softmax, >= 0; None if not known.
    """

    given: Tensor
    activation: Activation
    axis: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A call of a linear layer, a convolution or a matrix product.

    Attributes:
        given: what went in, weakly, so that it is freed as without vidcam.
        size: number of its outputs, K of a classifier.
    """

    given: ReferenceType[Tensor]
    size: int


def score_tensors(output: Any) -> list[Tensor]:
    """The floating point tensors of one to three axes of a model's output, each once.

    Of an object or mapping `logits` is taken; of a tuple or list its tensors, or else its first element.
    """
    if isinstance(output, Mapping):
        output = output.get("logits")
    elif hasattr(output, "logits"):
        output = output.logits
    if isinstance(output, Tensor):
        return [output]
    while isinstance(output, tuple | list) and output:
        found = {id(part): part for part in output if isinstance(part, Tensor) and part.is_floating_point()}
        rows = [part for part in found.values() if part.ndim in (2, 3)]
        rows = rows or [part for part in found.values() if part.ndim == 1]
        if rows or found:
            return rows or list(found.values())[:1]
        output = output[0]
    return [output] if isinstance(output, Tensor) else []


def choose_tensor(
    tensors: Sequence[Tensor], made: Mapping[int, Product], classes: int | None
) -> tuple[Tensor, tuple[str, ...]]:
    """The tensor of the scores, and a note if there were several.

    Args:
        tensors: from `score_tensors`, at least one.
        made: position → the call that made this tensor, for those that a classifier made.
        classes: K, if known.

    Raises:
        ShapeError: several tensors of different shapes may be the scores.
    """
    if len(tensors) == 1:
        return tensors[0], ()
    shapes = " and ".join(str(tuple(tensor.shape)) for tensor in tensors)
    known = [n for n, tensor in enumerate(tensors) if classes is not None and classes in tensor.shape[1:]]
    inputs = [product.given() for product in made.values()]
    last = [n for n in made if not any(tensors[n] is each for each in inputs)]  # the classifier reads an embedding
    for chosen, why in ((known, f"has {classes} classes"), (range(len(tensors)), ""), (last, "a classifier made")):
        if len({tensors[n].shape for n in chosen}) == 1:
            shape = tuple(tensors[chosen[0]].shape)
            which = f"the first {shape}" if len(chosen) > 1 else f"{shape}, which {why},"
            return tensors[chosen[0]], (f"The model returns {shapes}; {which} was taken for the scores.",)
    raise ShapeError(f"the model returns {shapes}, which are the scores? Pass target=lambda output: output[1][:, 0]")


def rows_of(scores: Tensor, classes: int | None, frames: Collection[int] | None) -> tuple[Tensor, tuple[str, ...]]:
    """Scores (N, K) of (N,), (N, K), (N, K, t) or (N, T, K), and a note on what was taken for classes.

    Args:
        scores: of one to three axes.
        classes: K, that of the specification or of the last classifier; None if not known.
        frames: lengths that the axis T of (N, T, K) may have; None for any.

    Raises:
        ShapeError: the axis of the classes cannot be told, or the other axis of (N, T, K) is not time.
    """
    shape = tuple(scores.shape)
    if scores.ndim == 2:
        return scores, ()
    if scores.ndim == 1:
        return scores.unsqueeze(1), (f"The model returns {shape}: one score for each clip.",)
    _, first, second = shape
    if classes not in (first, second) or first == second:
        raise ShapeError(
            f"the model returns {shape}: (N, K, t) or (N, T, K)? Pass target=lambda output: output.mean(2)[:, 0], or "
            f"output.mean(1)[:, 0], for class 0"
        )
    if classes == first:
        return at_least_float32(scores).mean(dim=2), (
            f"The model returns {shape}: {first} classes at {second} places; the score is the mean over the places.",
        )
    if first == 1:
        return scores[:, 0], (f"The model returns {shape}: one row of {second} classes.",)
    if frames is not None and first not in frames:
        raise ShapeError(
            f"the model returns {shape}: {second} scores at {first} places that are not frames, such as words; pass "
            f"target=lambda output: output[:, PLACE, SCORE]"
        )
    return at_least_float32(scores).mean(dim=1), (
        f"The model returns {shape}: {second} classes in {first} frames; the score is the mean over the frames.",
    )


def undo(call: Normalisation, result: Tensor, output: Tensor) -> tuple[Tensor, tuple[str, ...]] | None:
    """The logits behind an output that is the result of a softmax or sigmoid, scaled or averaged; else None.

    Returns:
        Logits of the output's shape, and a note where they are not plainly what went in.
    """
    if result.numel() == output.numel():
        if result is output or torch.equal(result.to(output.dtype).flatten(), output.flatten()):
            return call.given.reshape(output.shape), ()
        if call.activation == "softmax" and _is_multiple(output.flatten(), result.flatten()):
            note = "The model returns scaled probabilities; the scores are what went into its softmax."
            return call.given.reshape(output.shape), (note,)
        return None
    for axes in _averages(result, call.axis, output):
        average = _averaged(double(result.detach()), axes, output)
        if torch.allclose(average, double(output.detach()), rtol=_tolerance(output), atol=1e-12):
            note = f"The model averages probabilities; the score is the mean of what went into its {call.activation}."
            return _averaged(at_least_float32(call.given), axes, output), (note,)
    return None


def _averages(result: Tensor, axis: int | None, output: Tensor) -> list[int | None]:
    """The axes of the classes with which a mean over all other axes has the output's shape; None: clips × views."""
    if output.ndim != 2 or output.numel() == 0 or result.numel() % output.numel():
        return []
    clips, classes = output.shape
    if result.ndim > 2 and result.shape[0] == clips:
        tried = {1, result.ndim - 1} if axis is None else {axis}
        return [place for place in sorted(tried) if place > 0 and result.shape[place] == classes]
    return [None] if result.ndim == 2 and result.shape[1] == classes else []


def _averaged(values: Tensor, axis: int | None, output: Tensor) -> Tensor:
    if axis is None:
        return values.reshape(len(output), -1, output.shape[1]).mean(dim=1)
    return values.movedim(axis, 1).flatten(2).mean(dim=2)


def _is_multiple(output: Tensor, result: Tensor) -> bool:
    scaled, shares = double(output.detach()), double(result.detach())
    if not output.numel():
        return False
    factor = scaled.sum() / shares.sum()
    return bool(factor > 0) and torch.allclose(scaled, factor * shares, rtol=_tolerance(output), atol=1e-12)


def _tolerance(tensor: Tensor) -> float:
    return {torch.float64: 1e-9, torch.float32: 1e-4}.get(tensor.dtype, 1e-2)
