"""What is asked of a forward pass, and the scores that the targets stand for.

A `MapRequest` is one object from the user's keywords down to the arithmetic. A target is a class, a class against
another or any function of the model's output; it becomes a `ScoreTarget`: a tensor of the head's graph and the
direction in it whose gradient is g. For classes this is a cotangent of the logits, so that several targets of one
forward pass are one batched backward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from vidcam.cam.fusion import FUSIONS, Fusion
from vidcam.cam.methods import DEFAULT_METHODS, canonical_methods
from vidcam.cam.reshape import Reshape
from vidcam.cam.softmax import probability_cotangent
from vidcam.cam.weights import checked_score_scale
from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import Activation

ScoreFunction = Callable[[Any], Tensor]
"""The model's raw output → one score for each clip, (N,)."""

Target = int | Sequence[int] | ScoreFunction | None
"""One class for all clips, one for each, a function, or None for the class that the model predicts."""

ScoreName = Literal["logit", "probability"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapRequest:
    """Which maps are made, of which score, at which layers; targets are given with each explanation.

    Attributes:
        methods: canonical names, guided ones among them; aliases are resolved.
        layers: dotted names; empty: the default layer.
        contrast: class to contrast with: the score is S_target - S_contrast.
        score: `logit`, or `probability`: g = ∂p/∂A unscaled (the post-softmax maps of EQ tables 1–2).
        score_scale: λ of EQ 12: gradcam++ takes the score through exp(λS); near 0 it weighs as gradcam+ does.
        reshape: layer output → (N, D, t, h, w); None: it is so already.
        fusion: `mean` or `max` of several layers' maps, each divided by its own maximum.
        activation: what stands behind the logits; None: what the model itself ends in, else a softmax.
        softmax_chunk: classes whose products `gradcam++softmax` takes at once; memory grows with it, nothing else.
        softmax_tail: share of the other classes' probability that `gradcam++softmax` may leave out.
        references: layer → A₀, (1, D, t, h, w), activations of a clip without content, for the baseline methods.

    Raises:
        InputError: an unknown method, score, fusion or activation, or a λ that is negative or not finite.
    """

    methods: str | Sequence[str] = DEFAULT_METHODS
    layers: Sequence[str] = ()
    contrast: int | None = None
    score: ScoreName = "logit"
    score_scale: float = 1.0
    reshape: Reshape | None = None
    fusion: Fusion = "mean"
    activation: Activation | None = None
    softmax_chunk: int = 32
    softmax_tail: float = 0.0
    references: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", canonical_methods(self.methods))
        if self.score not in ("logit", "probability"):
            raise InputError(f"score is {self.score!r}, expected logit or probability")
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion is {self.fusion!r}, expected one of {', '.join(FUSIONS)}")
        if self.activation not in (None, "softmax", "sigmoid"):
            raise InputError(f"activation is {self.activation!r}, expected softmax or sigmoid")
        checked_score_scale(self.score_scale)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTarget:
    """One target.

    Attributes:
        score: (N, K) logits for classes, (N,) for a function, with the head's graph.
        direction: cotangent of `score`, same shape.
        classes: (N,), None for a function.
        contrasts: (N,), None without.
        function: None for classes.
    """

    score: Tensor
    direction: Tensor
    classes: Tensor | None = None
    contrasts: Tensor | None = None
    function: ScoreFunction | None = None


def class_target(
    scores: Tensor, target: int | Sequence[int] | None, contrast: int | None, score: ScoreName, activation: Activation
) -> ScoreTarget:
    """The score S_target, or S_target - S_contrast, or the same of the probabilities.

    Args:
        scores: logits (N, K).
        target: a class, one for each clip, or None for the predicted one.
        contrast: a class to contrast with.
        score: `probability` stands for p, its gradient unscaled.
        activation: what turns logits into probabilities.

    Raises:
        ShapeError, InputError: not class indices of this model.
    """
    classes = _classes(scores, target)
    contrasts = None if contrast is None else _classes(scores, contrast)
    direction = _direction(scores.detach(), classes, score, activation)
    if contrasts is not None:
        direction = direction - _direction(scores.detach(), contrasts, score, activation)
    return ScoreTarget(scores, direction, classes, contrasts)


def function_target(output: Any, function: ScoreFunction, request: MapRequest, clips: int) -> ScoreTarget:
    """The score that is a function of the model's raw output.

    Raises:
        InputError: the request is for a contrast or a probability, which are of classes.
        ShapeError: it does not give one score for each clip.
    """
    if request.contrast is not None or request.score != "logit":
        raise InputError(
            "the target is a function of the output, expected neither a contrast nor the score 'probability' with it; "
            "put both into the function"
        )
    score: object = function(output)
    if not isinstance(score, Tensor) or score.numel() != clips or score.ndim > 2:
        got = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
        raise ShapeError(f"the target function returns {got}, expected one score for each clip, ({clips},)")
    score = score.reshape(clips)
    return ScoreTarget(score, torch.ones_like(score), function=function)


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
