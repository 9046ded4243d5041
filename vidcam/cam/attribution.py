"""An open forward pass: look at the logits, choose targets, explain as many as wanted, then let go of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidcam.cam.fusion import fuse
from vidcam.cam.guided import finest_saliency
from vidcam.cam.layers import chosen_layers, require_map
from vidcam.cam.methods import LayerData, volume_methods
from vidcam.cam.network import (
    Input,
    LogitTracer,
    class_scores,
    classifier_weights,
    first_clip,
    ordinary,
    reference,
    require_apart,
    require_finite,
    require_ordinary,
    require_rows,
)
from vidcam.cam.preserve import NoAutocast, PreservedContext, Undo, preserve_model, unwrapped
from vidcam.cam.record import ActivationRecorder, NoGradientError, last_layer_with_gradient, record_layers
from vidcam.cam.request import MapRequest, ScoreName, ScoreTarget, Target, class_target, function_target
from vidcam.cam.softmax import SoftmaxForm, softmax_form
from vidcam.cam.weights import to_numpy
from vidcam.errors import InputError, LayerError, ShapeError
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.results.explanation import GUIDED, OF_FUNCTION, Activation, Explanation


@dataclass(frozen=True, slots=True, eq=False)
class ForwardContext:
    """What a forward pass is of.

    Attributes:
        model: the network itself, looked at through its wrappers.
        clip: its input.
        request: what is asked.
        layers: dotted names.
        notes: what was chosen for the caller.
    """

    model: nn.Module
    clip: Input
    request: MapRequest
    layers: tuple[str, ...]
    notes: tuple[str, ...]

    def features(self, output: Tensor) -> Tensor:
        """A layer's output, or its gradient, as (N, D, t, h, w)."""
        return output if self.request.reshape is None else self.request.reshape(output)


class Attribution:
    """An open forward pass of N clips whose classes can be explained, as often as wanted.

    Attributes:
        activation: the function behind the logits, 'softmax' or 'sigmoid'.
        activations_of_layers: layer → A, (N, D, t, h, w), detached, in the order of the layers.
    """

    def __init__(self, context: ForwardContext, recorder: ActivationRecorder, output: Any, tracer: LogitTracer) -> None:
        self._context, self._recorder, self._output = context, recorder, output
        self._shown = reference(context.clip)
        recorded = recorder.activations
        features = {name: context.features(recorded[name]) for name in context.layers}
        self.activations_of_layers: Mapping[str, Tensor] = features
        for name, a in features.items():
            require_map(a, name, self._shown)
        found: Activation | None = None
        self._scores: Tensor | None = None
        self._refusal = InputError("")
        try:
            scores, found = class_scores(output, tracer)
            require_rows(scores, len(self._shown))
        except InputError as exc:  # no logits: a target that is a function of the output needs none
            self._refusal = type(exc)(str(exc))
        else:
            require_finite(scores, "the logits")
            self._scores = scores
        for name, a in features.items():  # a head may bound what is infinite; a map does not
            require_finite(a, f"the activations at layer {name!r}")
        self.activation: Activation = context.request.activation or found or "softmax"

    @property
    def layers(self) -> tuple[str, ...]:
        """Dotted names of the target layers."""
        return self._context.layers

    @property
    def scores(self) -> Tensor:
        """(N, K), with the graph of the head.

        Raises:
            InputError: the model does not return logits.
        """
        if self._scores is None:
            raise self._refusal
        return self._scores

    @property
    def logits(self) -> Tensor:
        """(N, K) detached, float32 at least."""
        return self.scores.detach()

    def probabilities(self) -> Tensor:
        """(N, K) float64."""
        scores = self.logits.double()
        return scores.softmax(dim=1) if self.activation == "softmax" else scores.sigmoid()

    def explain(self, target: Target = None, *, score: ScoreName | None = None) -> Explanation:
        """Maps of one target for each clip, from the one forward pass; see `vidcam.explain`.

        Args:
            target: a class, one for each clip, a function, or None for the predicted class.
            score: another kind of score than the request's.

        Raises:
            LayerError: the score does not depend on the layer; the sentence names one on which it does.
        """
        request = self._context.request if score is None else replace(self._context.request, score=score)
        of = self._score_target(target, request)
        with self._naming_another_layer():
            with self._no_autocast():
                gradients = self._recorder.gradients(of.score, of.direction)
            return self._explained(of, gradients, request)

    def explain_each(self, targets: Sequence[Target]) -> tuple[Explanation, ...]:
        """One explanation for each target, of classes all from one batched backward through the head.

        Raises:
            InputError: no target.
            LayerError: as `explain`.
        """
        request = self._context.request
        if not targets:
            raise InputError("no target was given, expected at least one; None stands for the predicted class")
        if len(targets) == 1 or any(callable(target) for target in targets):
            return tuple(self.explain(target) for target in targets)
        each = [self._score_target(target, request) for target in targets]
        with self._naming_another_layer():
            with self._no_autocast():
                products = self._recorder.products(self.scores, torch.stack([of.direction for of in each]))
            gradients = [{name: product[index] for name, product in products.items()} for index in range(len(each))]
            return tuple(self._explained(of, raw, request) for of, raw in zip(each, gradients, strict=True))

    def _score_target(self, target: Target, request: MapRequest) -> ScoreTarget:
        if callable(target):
            return function_target(self._output, target, request, len(self._shown))
        return class_target(self.scores, target, request.contrast, request.score, self.activation)

    def _no_autocast(self) -> NoAutocast:
        """The sums of what autocast left in halves are taken in float32. The network itself runs as before."""
        return NoAutocast(self._shown.device.type)

    @contextmanager
    def _naming_another_layer(self) -> Iterator[None]:
        try:
            yield
        except NoGradientError as exc:
            context = self._context
            with self._recorder.paused():
                other = last_layer_with_gradient(
                    context.model, first_clip(context.clip), context.request.reshape, like=context.layers[-1]
                )
            raise LayerError(str(exc) if other is None else f"{exc}, such as {other!r}, which has one") from exc

    def _explained(self, of: ScoreTarget, raw: Mapping[str, Tensor], request: MapRequest) -> Explanation:
        with self._no_autocast():
            explanation = self._mapped(of, raw, request)
        guided = [name for name in request.methods if name in GUIDED]
        if not guided:
            return explanation
        volumes, size = explanation.volumes, explanation.input_size
        heat = {name: normalise_per_clip(upsample_volume(volumes[GUIDED[name]], size)) for name in guided}
        saliency = self._saliency(of)
        return replace(
            explanation,
            volumes={name: volumes[name] for name in request.methods if name not in GUIDED},
            guided={name: saliency * heat[name][:, None] for name in guided},
        )

    def _mapped(self, of: ScoreTarget, raw: Mapping[str, Tensor], request: MapRequest) -> Explanation:
        needed = volume_methods(request.methods)
        data = {layer: self._layer_data(layer, raw[layer], of, request) for layer in self.layers}
        maps = {layer: one.volumes(needed) for layer, one in data.items()}
        where = {layer: f" at {layer}" if len(maps) > 1 else "" for layer in maps}
        return Explanation(
            volumes={name: fuse([to_numpy(one[name]) for one in maps.values()], request.fusion) for name in needed}
            if len(maps) > 1
            else {name: to_numpy(volume) for name, volume in maps[self.layers[0]].items()},
            logits=to_numpy(of.score.detach().unsqueeze(1) if self._scores is None else self._scores),
            target=np.full(len(self._shown), OF_FUNCTION) if of.classes is None else to_numpy(of.classes),
            contrast=None if of.contrasts is None else to_numpy(of.contrasts),
            layer=" + ".join(self.layers),
            input_size=tuple(self._shown.shape[2:]),
            alpha={name + where[at]: audit for at in data for name, audit in data[at].audits(maps[at]).items()},
            alpha_exact=self._is_exact(of, request) if "gradcam++" in needed else None,
            clamped={name + where[at]: share for at in data for name, share in data[at].clamped(needed).items()},
            activation=self.activation,
            notes=self._context.notes,
        )

    def _layer_data(self, layer: str, raw: Tensor, of: ScoreTarget, request: MapRequest) -> LayerData:
        gradients = self._context.features(raw)
        require_finite(gradients, f"the gradients at layer {layer!r}")
        if gradients.numel() < raw.numel() and not bool(gradients.any()) and bool(raw.any()):
            raise NoGradientError(
                f"layer {layer!r} has a gradient at no place of its grid, only at what the reshape leaves out: of "
                f"all its tokens the head reads the class token alone; choose a layer before that"
            )
        return LayerData(
            activations=self.activations_of_layers[layer],
            gradients=gradients,
            score_scale=request.score_scale,
            reference=lambda: self._reference(layer),
            classifier=lambda: self._classifier(layer, of),
            softmax=cache(lambda: self._softmax(layer, of, request)),
        )

    def _reference(self, layer: str) -> Tensor:
        reference, shape = self._context.request.references.get(layer), self.activations_of_layers[layer].shape[1:]
        if reference is None:
            raise InputError(
                f"neutral-gradcam subtracts what layer {layer!r} shows on a clip without content, which was not given; "
                f"pass baseline= with such a clip, for example a flat grey one"
            )
        if reference.shape[1:] != shape:
            raise ShapeError(
                f"layer {layer!r} is {tuple(reference.shape[1:])} on the baseline clip and {tuple(shape)} on this one, "
                f"expected the same; pass a baseline clip of this one's size"
            )
        return reference

    def _classifier(self, layer: str, of: ScoreTarget) -> Tensor:
        if of.classes is None:
            raise InputError("cam reads the classifier's weights of a class, expected no function as the target")
        weights = classifier_weights(self._context.model, self.activations_of_layers[layer], self.scores)
        return weights[of.classes] if of.contrasts is None else weights[of.classes] - weights[of.contrasts]

    def _softmax(self, layer: str, of: ScoreTarget, request: MapRequest) -> SoftmaxForm:
        if of.classes is None or of.contrasts is not None or self.activation != "softmax":
            raise InputError(
                "gradcam++softmax explains one class behind a softmax: no contrast, target function or sigmoid"
            )

        def products(directions: Tensor) -> Tensor:
            of_layer = self._recorder.products(self.scores, directions)[layer]
            return torch.stack([self._context.features(product) for product in of_layer])

        chunk, tail = request.softmax_chunk, request.softmax_tail
        return softmax_form(
            self.activations_of_layers[layer], self.logits, of.classes, products, chunk=chunk, tail=tail
        )

    def _is_exact(self, of: ScoreTarget, request: MapRequest) -> bool | None:
        if request.score == "probability":  # softmax and sigmoid are curved, whatever the head below them
            return False
        return self._recorder.is_piecewise_linear((of.score * of.direction).sum())

    def _saliency(self, of: ScoreTarget) -> Floats:
        def score(output: Any, tracer: LogitTracer) -> Tensor:
            if of.function is not None:
                return of.function(output).sum()
            return (class_scores(output, tracer)[0] * of.direction).sum()

        with self._recorder.paused():
            return finest_saliency(self._context.model, self._context.clip, score)


def attribution(model: nn.Module, clip: Input, request: MapRequest) -> PreservedContext[Attribution]:
    """Run the model once with its head's graph kept, and explain inside the context.

    Args:
        model: the network.
        clip: its input.
        request: which maps are made, at which layers.

    Raises:
        NameNotFoundError, LayerError: the layer does not exist or cannot carry a map.
        InputError: weights that autograd cannot use.
        NonFiniteError: NaN or infinity in the logits or the activations.
    """
    return PreservedContext(lambda undo: open_attribution(model, clip, request, undo))


def open_attribution(model: nn.Module, clip: Input, request: MapRequest, undo: Undo) -> Attribution:
    """As `attribution`, until `undo`."""
    network = unwrapped(model)
    require_ordinary(network)
    require_apart(network, len(reference(clip)))
    preserve_model(network, undo)
    shown = ordinary(clip)
    layers, notes = chosen_layers(network, shown, request.layers, request.reshape)
    recorder = record_layers(network, layers, undo)
    with LogitTracer() as tracer:
        output = network(shown)
    recorded = recorder.activations
    silent = next((name for name in layers if name not in recorded), None)
    if silent is not None:
        raise LayerError(
            f"layer {silent!r} did not run in the forward pass, expected one that does; choose another layer"
        )
    return Attribution(ForwardContext(network, shown, request, layers, notes), recorder, output, tracer)
