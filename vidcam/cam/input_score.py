"""The score of a target as a function of the clip, for methods that run the network on changed clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from vidcam.cam.context import ForwardContext
from vidcam.cam.network import Input
from vidcam.cam.preserve import NoAutocast, Undo
from vidcam.cam.request import ScoreName, ScoreTarget
from vidcam.cam.state import same_state
from vidcam.cam.tracer import LogitTracer
from vidcam.errors import InputError
from vidcam.results.explanation import Activation

ScoreOf = Callable[[Input], Tensor]
"""A clip like the original, of N rows → the target's score of each row, (N,), with its graph if grad is enabled."""


def input_score(
    context: ForwardContext, target: ScoreTarget, score: ScoreName, activation: Activation, features: Iterable[Tensor]
) -> ScoreOf:
    """Return the score of a target as a function of the clip.

    The network runs as in the forward pass of the context: with its other inputs, without being recorded, and each time
    from the same state. The classes stay those of the original clip. The score `probability` is the probability itself.

    Args:
        context: an open forward pass.
        target: the score that is explained.
        score: kind of the score; `logit` for a function.
        activation: turns logits into probabilities.
        features: of the layers, (N, D, t, h, w), as in `ForwardContext.read`.
    """
    known = tuple(features)

    def score_of(clip: Input) -> Tensor:
        network, rows = context.model, len(target.score)
        with context.run.recorder.paused(), Undo() as undo, undo:
            with LogitTracer() as tracer, same_state(network, undo):
                output = network(clip)
            if target.function is not None:
                return target.function(output).reshape(rows)
            scores = context.read(output, tracer, known).logits
        with NoAutocast(scores.device.type):
            return _class_score(scores, target, score, activation)

    return score_of


def _class_score(scores: Tensor, target: ScoreTarget, score: ScoreName, activation: Activation) -> Tensor:
    if target.classes is None:
        raise InputError("target has no class")
    if score == "probability":
        scores = scores.softmax(dim=1) if activation == "softmax" else scores.sigmoid()
    elif score == "negative":
        scores = -scores

    def of(classes: Tensor) -> Tensor:
        return torch.gather(scores, 1, classes.unsqueeze(1)).squeeze(1)

    return of(target.classes) if target.contrasts is None else of(target.classes) - of(target.contrasts)


def require_floats(parts: Sequence[Tensor]) -> None:
    """Check that the tensors of a clip hold floating point numbers, which have gradients.

    Raises:
        InputError: they do not, or there are none.
    """
    wrong = [str(part.dtype) for part in parts if not part.is_floating_point()]
    if wrong or not parts:
        got = f"of {', '.join(wrong)}" if wrong else "an empty sequence"
        raise InputError(f"clip is {got}, expected floating point, scaled as the model takes it")
