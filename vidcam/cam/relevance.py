"""Maps of relevance, `token-lrp` and `attnlrp`: R = Σ_d z · ∂S/∂z at the patch embedding, under rules.

One more forward pass under the rules of `relevance_rules` and its gradient; none more if no other map needs a pass of
its own. R is signed: what is negative speaks against the class. The rules make it add up to the score, but for what the
biases and positions add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from torch import nn

from vidcam.cam.attention_maps import USES_GRADIENT, AttentionPass, open_attention
from vidcam.cam.context import ForwardContext
from vidcam.cam.legrad import LeGradPass, open_legrad
from vidcam.cam.network import Input, ordinary, require_finite, require_rows
from vidcam.cam.preserve import NoAutocast, Undo, preserve_model
from vidcam.cam.relevance_layer import run_for_relevance
from vidcam.cam.relevance_mode import unknown_operations
from vidcam.cam.request import MapRequest, ScoreTarget, Target, class_target, function_target
from vidcam.cam.weights import at_least_float32, to_numpy
from vidcam.errors import VidcamError
from vidcam.maps import Floats, upsample_volume
from vidcam.results.explanation import RELEVANCE, Activation, Explanation

SOFTMAX_IS_CONSTANT: Mapping[str, bool] = MappingProxyType({"token-lrp": True, "attnlrp": False})
"""Method → whether the softmax of attention is a constant."""


@dataclass(frozen=True, slots=True, eq=False)
class RelevancePass:
    """An open forward pass under the rules.

    Attributes:
        context: the pass, with the layer of relevance and its reshape.
        is_of_tokens: whether the layer was found before the tokens of a transformer.
    """

    context: ForwardContext
    is_of_tokens: bool

    @property
    def is_transformer(self) -> bool:
        """Whether the layer lies before tokens, and behind no ReLU. On a grey clip all of it may be 0."""
        layers = self.context.run.recorder.activations.values()
        return self.is_of_tokens and not all(bool((a >= 0).all()) and bool((a > 0).any()) for a in layers)

    @property
    def contexts(self) -> tuple[ForwardContext]:
        """The pass, whose score the map reads."""
        return (self.context,)

    def map(self, _method: str, scores: Sequence[ScoreTarget]) -> Floats:
        """Return R of one target per clip, (N, t, h, w) signed; the rules are those of the method.

        Raises:
            LayerError: the score does not depend on the layer.
        """
        context, recorder, (score,) = self.context, self.context.run.recorder, scores
        with NoAutocast(context.shown.device.type):
            gradients = recorder.gradients(score.score, score.direction)
            parts = [
                self._map(name, activations, gradients[name]) for name, activations in recorder.activations.items()
            ]
        return _joined(parts, is_sum=context.run.are_pathways)

    def _map(self, layer: str, activations: torch.Tensor, gradient: torch.Tensor) -> Floats:
        a, g = (at_least_float32(self.context.features(layer, each)) for each in (activations, gradient))
        require_finite(g, f"the gradients at layer {layer!r}")
        return to_numpy((a * g).sum(dim=1))


OpenPass = RelevancePass | AttentionPass | LeGradPass


def score_in(context: ForwardContext, target: Target, request: MapRequest, activation: Activation) -> ScoreTarget:
    """Return the score of a target in an open forward pass.

    Args:
        context: the pass.
        target: a function of the output, or classes.
        request: contrast and kind of score.
        activation: turns logits into probabilities.
    """
    clips = len(context.shown)
    if callable(target):
        return function_target(context.run.output, target, request, clips)
    features = (context.features(name, a) for name, a in context.run.recorder.activations.items())
    scores = context.read(context.run.output, context.run.tracer, features).logits
    require_rows(scores, clips)
    return class_target(scores, target, request.contrast, request.score, activation)


def open_relevance(network: nn.Module, clip: Input, request: MapRequest, undo: Undo, *, method: str) -> OpenPass:
    """Run the network under the rules of a method; `undo` ends the pass. Other hooks must be paused.

    Raises:
        LayerError: no layer for relevance was found, or attention is not joint.
    """
    if method in USES_GRADIENT:
        return open_attention(network, clip, request, undo, method=method)
    if method == "legrad":
        return open_legrad(network, clip, request, undo)
    found = run_for_relevance(network, clip, request, undo, is_softmax_constant=SOFTMAX_IS_CONSTANT[method])
    own = replace(request, reshape=found.reshape, check_layout=request.check_layout and not found.is_of_tokens)
    return RelevancePass(ForwardContext(network, clip, own, found.run), found.is_of_tokens)


def is_transformer(network: nn.Module, clip: Input, request: MapRequest) -> bool:
    """Whether relevance is what a network is explained by: it attends to tokens of a signed grid.

    It costs one forward pass. A grid that is never negative lies behind a ReLU: maps of that layer are right for it.

    Args:
        network: without wrappers.
        clip: its input.
        request: axes.
    """
    with Undo() as undo, undo:
        preserve_model(network, undo)
        try:
            opened = open_relevance(network, ordinary(clip), request, undo, method="token-lrp")
            return isinstance(opened, RelevancePass) and opened.is_transformer
        except VidcamError:
            return False


def may_be_transformer(network: nn.Module) -> bool:
    """Whether a module is named after attention, or its class is."""
    names = (f"{name} {type(module).__name__}".lower() for name, module in network.named_modules())
    return any("attention" in name or "attn" in name for name in names)


class RelevancePasses:
    """The passes that a request for maps needs, opened when they are.

    Args:
        context: the main forward pass.
        request: as it was made; the reshape is that of layers which it names.
        undo: ends the passes.
        main: the main pass, if it is one of relevance, by its method.
    """

    def __init__(
        self,
        context: ForwardContext,
        request: MapRequest,
        undo: Undo,
        main: Mapping[str, OpenPass],
    ) -> None:
        self._context, self._request, self._undo = context, request, undo
        self._passes = dict(main)

    @property
    def are_of_transformer(self) -> bool:
        """Whether the main pass is one of relevance, and has found a transformer."""
        return any(isinstance(each, RelevancePass) and each.is_transformer for each in self._passes.values())

    def with_maps(self, explanation: Explanation, score: ScoreTarget, request: MapRequest) -> Explanation:
        """Add the maps of relevance that a request names.

        Args:
            explanation: of the same target.
            score: the target; its classes are those of the main pass.
            request: methods, contrast and kind of score.
        """
        target: Target = score.function if score.classes is None else score.classes.tolist()
        volumes, signed = dict(explanation.volumes), dict(explanation.signed)
        notes = explanation.notes
        for name in (name for name in request.methods if name in RELEVANCE):
            opened = self._pass(name)
            scores = [score_in(each, target, request, explanation.activation) for each in opened.contexts]
            values = opened.map(name, scores)
            volumes[name] = np.maximum(values, 0)
            notes = (*notes, *_score_notes(name, scores[-1], score), *opened.context.run.notes)
            if isinstance(opened, RelevancePass):
                signed[name], notes = values, (*notes, *_unknown_notes(scores[-1]))
        return replace(explanation, volumes=volumes, signed=signed, notes=tuple(dict.fromkeys(notes)))

    def _pass(self, method: str) -> OpenPass:
        """Both methods of attention share one pass."""
        if method in USES_GRADIENT:
            method = next((name for name in USES_GRADIENT if name in self._passes), method)
        if method not in self._passes:
            context = self._context
            with context.run.recorder.paused():
                self._passes[method] = open_relevance(
                    context.model, context.clip, self._request, self._undo, method=method
                )
        return self._passes[method]


def _joined(maps: list[Floats], *, is_sum: bool) -> Floats:
    """Join the maps of several layers on the finest grid: the sum of parallel branches, else the mean."""
    if len(maps) == 1:
        return maps[0]
    size = tuple(max(lengths) for lengths in zip(*(each.shape[1:] for each in maps), strict=True))
    fine = [upsample_volume(each, size) * (np.prod(each.shape[1:]) / np.prod(size)) for each in maps]
    total: Floats = np.sum(fine, axis=0) if is_sum else np.mean(fine, axis=0)
    return total.astype(maps[0].dtype)


def _unknown_notes(score: ScoreTarget) -> tuple[str, ...]:
    unknown = unknown_operations(score.score)
    if not unknown:
        return ()
    return (f"Relevance passes {', '.join(unknown)} by the plain gradient: no rule is known for it.",)


def _score_notes(method: str, own: ScoreTarget, score: ScoreTarget) -> tuple[str, ...]:
    """Say so if the network scores otherwise in the pass of a method than in the main one, by more than rounding."""
    ours, theirs = (each.score.detach().double() for each in (own, score))
    tolerance = torch.finfo(own.score.dtype).eps ** 0.5
    if torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance):
        return ()
    difference = float((ours - theirs).abs().max())
    return (f"The score is {difference:.2g} off in the pass of {method}: its map may be that of another result.",)
