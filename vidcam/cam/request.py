"""The request for maps, and the scores that targets stand for.

A `MapRequest` holds the user's keywords. A target is a class, a class with a contrast class, or any function of the
model's output. It becomes a `ScoreTarget`: a tensor of the head's graph and a direction; g is the gradient of the
tensor along that direction. For classes the direction is a cotangent of the logits, so that one batched backward serves
several targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from reprlib import repr as short
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from vidcam.axes import Axes
from vidcam.cam.fusion import FUSIONS, Fusion
from vidcam.cam.methods import DEFAULT_METHODS, canonical_methods
from vidcam.cam.network import Input
from vidcam.cam.reshape import Reshape
from vidcam.cam.softmax import probability_cotangent
from vidcam.cam.weights import checked_score_scale
from vidcam.devices import double
from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import Activation
from vidcam.system.progress import Progress, silent

ScoreFunction = Callable[[Any], Tensor]
"""Maps the model's raw output to one score per clip, (N,)."""

Target = int | Sequence[int] | ScoreFunction | None
"""One class for all clips, one class per clip, a function, or None for the predicted class."""

ScoreName = Literal["logit", "probability", "negative"]
"""S, softmax(S) or sigmoid(S), or -S, whose map shows what lowers the score."""

Fine = Literal["coarse", "pooled", "full"]
"""The grid of a map of the input: at most 8 × 14 × 14 cells, at most 16 × 28 × 28, or every pixel."""

DEFAULT_BUDGET = 200
"""Forward passes of `occlusion`, and of `rise`, for one clip and target."""

IG_STEPS = 16
PRODUCT_STEPS = 4
"""Points of the path from a baseline to the clip at which gradients are taken."""

FINE_GRIDS: tuple[Fine, ...] = get_args(Fine)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapRequest:
    """Which maps are made, of which score, at which layers. Targets are passed with each explanation.

    Attributes that are not listed are arguments of `vidcam.explain`.

    Attributes:
        methods: names or aliases; stored as canonical names, guided methods included.
        layers: dotted names; empty: the default layer.
        relevance_layers: layers that the user names, where relevance is read too; empty: the patch embedding.
        check_layout: whether a reshape is checked by a changed clip, see `probe`.
        classes: K, to find the classes in the model's output; None if not known.
        baseline_activations: layer → A₀, (1, D, t, h, w), activations of a content-free clip, for the baseline methods.
        baseline_clips: any number of clips without content from which the paths of integrated gradients start.
        drawn_clips: any number of clips from which expected-gradients draws; None: the other clips of the batch.

    Raises:
        InputError: an unknown method, score, fusion, activation or grid, no steps, or a λ that is negative or not
            finite.
    """

    methods: str | Sequence[str] = DEFAULT_METHODS
    layers: Sequence[str] = ()
    relevance_layers: Sequence[str] = ()
    contrast: int | None = None
    score: ScoreName = "logit"
    score_scale: float = 1.0
    reshape: Reshape | None = None
    axes: Axes | None = None
    check_layout: bool = True
    fusion: Fusion | None = None
    activation: Activation | None = None
    classes: int | None = None
    softmax_chunk: int = 32
    softmax_tail: float = 0.0
    baseline_activations: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    baseline_clips: Input | None = field(default=None, repr=False)
    drawn_clips: Input | None = field(default=None, repr=False)
    steps: int | None = None
    fine: Fine = "pooled"
    budget: int = DEFAULT_BUDGET
    seed: int = 0
    progress: Progress = field(default=silent, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", canonical_methods(self.methods))
        if self.score not in ("logit", "probability", "negative"):
            raise InputError(f"score is {self.score!r}, expected logit, probability or negative")
        if self.fusion not in (None, *FUSIONS):
            raise InputError(f"fusion is {self.fusion!r}, expected one of {', '.join(FUSIONS)}")
        if self.activation not in (None, "softmax", "sigmoid", "none"):
            raise InputError(f"activation is {self.activation!r}, expected softmax, sigmoid or none")
        if (self.activation, self.score) == ("none", "probability"):
            raise InputError("score is 'probability', but with activation 'none' there is none; use 'logit'")
        checked_score_scale(self.score_scale)
        if self.steps is not None and self.steps < 1:
            raise InputError(f"steps is {self.steps}; it must be at least 1")
        if self.budget < 2:
            raise InputError(f"budget is {self.budget}; occlusion and rise need at least 2 forward passes")
        if self.fine not in FINE_GRIDS:
            raise InputError(f"fine is {self.fine!r}, expected one of {', '.join(FINE_GRIDS)}")

    @property
    def path_steps(self) -> int:
        """Points of the path: by default 16, or 4 if only products with a map of the layer are made.

        More points change the products by 1 % at most; docs/evidence/search.md.
        """
        if self.steps is not None:
            return self.steps
        return IG_STEPS if {"integrated-gradients", "expected-gradients"} & set(self.methods) else PRODUCT_STEPS

    def baseline_at(self, layer: str, shape: Sequence[int]) -> Tensor:
        """Return A₀ at a layer, (1, D, t, h, w).

        Raises:
            InputError: there is none.
            ShapeError: it has another shape.
        """
        baseline = self.baseline_activations.get(layer)
        if baseline is None:
            raise InputError(
                f"neutral-gradcam needs a baseline at layer {layer!r}; pass baseline=, for example a flat grey clip"
            )
        if baseline.shape[1:] != tuple(shape):
            raise ShapeError(
                f"baseline is {tuple(baseline.shape[1:])} at layer {layer!r}, expected {tuple(shape)}; pass a baseline "
                f"clip of this clip's size"
            )
        return baseline


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTarget:
    """The score of one target.

    Attributes:
        score: (N, K) logits for classes, (N,) for a function. Its autograd graph reaches back to the target layer.
        direction: cotangent of `score`, same shape.
        classes: (N,) class indices; None for a function.
        contrasts: (N,) contrast classes; None without contrast.
        function: the function; None for classes.
    """

    score: Tensor
    direction: Tensor
    classes: Tensor | None = None
    contrasts: Tensor | None = None
    function: ScoreFunction | None = None

    @property
    def values(self) -> Tensor:
        """The score of each clip, (N,), detached."""
        return (self.score.detach() * self.direction).reshape(len(self.score), -1).sum(dim=1)


def class_target(
    scores: Tensor, target: int | Sequence[int] | None, contrast: int | None, score: ScoreName, activation: Activation
) -> ScoreTarget:
    """Make the score S_target, or S_target - S_contrast, or the same of probabilities.

    Args:
        scores: logits (N, K).
        target: a class, one class per clip, or None for the predicted class.
        contrast: the contrast class.
        score: `logit`, or `probability` for p with its gradient unscaled, or `negative` for -S.
        activation: turns logits into probabilities.

    Raises:
        ShapeError, InputError: not class indices of this model.
    """
    classes = _classes(scores, target)
    contrasts = None if contrast is None else _classes(scores, contrast, name="contrast")
    direction = _direction(scores.detach(), classes, score, activation)
    if contrasts is not None:
        direction = direction - _direction(scores.detach(), contrasts, score, activation)
    return ScoreTarget(scores, direction, classes, contrasts)


def function_target(output: Any, function: ScoreFunction, request: MapRequest, clips: int) -> ScoreTarget:
    """Make the score that is a function of the model's raw output.

    Raises:
        InputError: the request has a contrast or the score 'probability', which need classes.
        ShapeError: the function does not return one score per clip.
    """
    if request.contrast is not None or request.score != "logit":
        raise InputError("target is a function, which takes no contrast and no score but 'logit'; compute them in it")
    score: object = function(output)
    if not isinstance(score, Tensor) or score.numel() != clips or score.ndim > 2:
        got = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
        raise ShapeError(f"the target function returned {got}, expected one score per clip, ({clips},)")
    score = score.reshape(clips)
    return ScoreTarget(score, torch.ones_like(score), function=function)


def _classes(scores: Tensor, target: int | Sequence[int] | None, *, name: str = "target") -> Tensor:
    clips, classes = scores.shape
    if target is None:
        return scores.detach().argmax(dim=1)
    indices = _integers(target, name).to(scores.device)
    indices = indices.expand(clips) if indices.ndim == 0 else indices
    if indices.shape != (clips,):
        raise ShapeError(f"{name} is {short(target)}, expected one class, or one for each of the {clips} clips")
    if bool(((indices < 0) | (indices >= classes)).any()):
        raise InputError(f"{name} is {short(target)}, expected class indices from 0 to {classes - 1}")
    return indices


def _integers(target: int | Sequence[int], name: str) -> Tensor:
    try:
        indices = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise InputError(f"{name} is {short(target)}, expected a class index, or one per clip") from exc
    has_flag = isinstance(target, Sequence) and any(isinstance(index, bool) for index in target)  # True is no class 1
    if has_flag or indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
        raise InputError(f"{name} is {short(target)}, expected a class index, or one per clip")
    return indices.to(torch.int64)


def _direction(scores: Tensor, classes: Tensor, score: ScoreName, activation: Activation) -> Tensor:
    if score == "probability" and activation == "softmax":
        return probability_cotangent(scores, classes).to(scores)
    one = -1.0 if score == "negative" else 1.0
    direction = torch.zeros_like(scores).scatter_(1, classes.unsqueeze(1), one)
    if score == "probability":  # σ′ = σ(S)·σ(-S); 1 - σ(S) would lose all digits
        direction = direction * (double(scores).sigmoid() * double(-scores).sigmoid()).to(scores)
    return direction
