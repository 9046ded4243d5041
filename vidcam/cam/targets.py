"""What is explained: a class, a class against another, or any function of the model's output.

A target becomes an `Aim`: a tensor of the head's graph and the direction in it whose gradient is g. For classes this is
a cotangent of the logits, so that several targets of one forward pass are one batched backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vidcam.cam.softmax import probability_cotangent
from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import Activation

ScoreFunction = Callable[[Any], Tensor]
"""The model's raw output → one score for each clip, (N,)."""

Target = int | Sequence[int] | ScoreFunction | None
"""One class for all clips, one for each, a function, or None for the class that the model predicts."""

ScoreName = Literal["logit", "probability"]


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """One target.

    Attributes:
        score: (N, K) logits for classes, (N,) for a function, with the head's graph.
        direction: cotangent of `score`, same shape.
        classes: (N,), None for a function.
        foils: (N,), None without.
        function: None for classes.
    """

    score: Tensor
    direction: Tensor
    classes: Tensor | None = None
    foils: Tensor | None = None
    function: ScoreFunction | None = None


def aim_at_classes(
    scores: Tensor, target: int | Sequence[int] | None, foil: int | None, score: ScoreName, activation: Activation
) -> Aim:
    """Aim at S_target, at S_target - S_foil, or at the same of the probabilities.

    Args:
        scores: logits (N, K).
        target: a class, one for each clip, or None for the predicted one.
        foil: a class to contrast with.
        score: `probability` aims at p, its gradient unscaled.
        activation: what turns logits into probabilities.

    Raises:
        ShapeError, InputError: not class indices of this model.
    """
    classes = _classes(scores, target)
    foils = None if foil is None else _classes(scores, foil)
    direction = _direction(scores.detach(), classes, score, activation)
    if foils is not None:
        direction = direction - _direction(scores.detach(), foils, score, activation)
    return Aim(scores, direction, classes, foils)


def aim_at_function(output: Any, function: ScoreFunction, clips: int) -> Aim:
    """Aim at a function of the model's raw output.

    Raises:
        ShapeError: it does not give one score for each clip.
    """
    score: object = function(output)
    if not isinstance(score, Tensor) or score.numel() != clips or score.ndim > 2:
        got = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
        raise ShapeError(f"the target function returns {got}, expected one score for each clip, ({clips},)")
    score = score.reshape(clips)
    return Aim(score, torch.ones_like(score), function=function)


def _classes(scores: Tensor, target: int | Sequence[int] | None) -> Tensor:
    clips, classes = scores.shape
    if target is None:
        return scores.detach().argmax(dim=1)
    chosen = _integers(target).to(scores.device)
    chosen = chosen.expand(clips) if chosen.ndim == 0 else chosen
    if chosen.shape != (clips,):
        raise ShapeError(f"target must be one class or one for each of the {clips} clips, got {target!r}")
    if bool(((chosen < 0) | (chosen >= classes)).any()):
        raise InputError(f"target is {target!r}, expected class indices from 0 to {classes - 1}")
    return chosen


def _integers(target: int | Sequence[int]) -> Tensor:
    try:
        chosen = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise InputError(f"target is {target!r}, expected a class index, or one for each clip") from exc
    if chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.bool:
        raise InputError(f"target is {target!r}, expected a class index, or one for each clip")
    return chosen.to(torch.int64)


def _direction(scores: Tensor, classes: Tensor, score: ScoreName, activation: Activation) -> Tensor:
    if score == "probability" and activation == "softmax":
        return probability_cotangent(scores, classes).to(scores)
    direction = torch.zeros_like(scores).scatter_(1, classes.unsqueeze(1), 1.0)
    if score == "probability":  # σ′ = σ(S)·σ(-S), without the 1 - σ that loses all digits
        direction = direction * (scores.double().sigmoid() * (-scores.double()).sigmoid()).to(scores)
    return direction
