"""An open forward pass: read the logits, choose targets, explain any number of them, then release the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.arguments import Arguments, hand_over
from vidcam.cam.classifier import classifier_weights
from vidcam.cam.context import ForwardContext
from vidcam.cam.fusion import fuse
from vidcam.cam.guided import saliency_of
from vidcam.cam.input_maps import with_input_maps
from vidcam.cam.input_score import ScoreOf, input_score
from vidcam.cam.layer_run import run_layers
from vidcam.cam.layers import require_map
from vidcam.cam.methods import LayerData, layer_methods, needs_layer
from vidcam.cam.network import (
    Input,
    ordinary,
    reference,
    require_apart,
    require_finite,
    require_ordinary,
    require_rows,
)
from vidcam.cam.preserve import NoAutocast, Undo, preserve_model
from vidcam.cam.record import NoGradientError, last_layer_with_gradient
from vidcam.cam.relevance import RelevancePasses, open_relevance
from vidcam.cam.request import MapRequest, ScoreName, ScoreTarget, Target, class_target, function_target
from vidcam.cam.softmax import SoftmaxForm, softmax_form
from vidcam.cam.weights import to_numpy
from vidcam.cam.wrappers import require_explainable, unwrapped
from vidcam.devices import double
from vidcam.errors import InputError, LayerError
from vidcam.maps import relative_to_maximum, upsample_volume
from vidcam.results.explanation import (
    GUIDED,
    INPUT_METHODS,
    OF_FUNCTION,
    RELEVANCE,
    Activation,
    Explanation,
)
from vidcam.results.notes import alpha_note

WEIGHTS_ARE_SUMS = frozenset(["cam", "gradcam++", "gradcam++signed", "gradcam++softmax"])
"""Methods whose raw maps grow with the number of cells, and so cannot be added for layers with unlike grids."""


class Attribution:
    """An open forward pass of N clips. Any number of targets can be explained from it.

    Attributes:
        activation: the function behind the logits, 'softmax', 'sigmoid' or 'none'.
        activations_of_layers: layer → A, (N, D, t, h, w), detached, in the order of the layers.
        layout_notes: sentences about layers whose layout could not be verified.
    """

    def __init__(self, context: ForwardContext, passes: RelevancePasses) -> None:
        self._context, self._recorder, self._output = context, context.run.recorder, context.run.output
        self._passes = passes
        self._shown = context.shown
        features = {name: context.features(name, a) for name, a in self._recorder.activations.items()}
        self.activations_of_layers: Mapping[str, Tensor] = features
        for name, a in features.items():
            require_map(a, name, self._shown)
        found_activation: Activation | None = None
        self._notes: tuple[str, ...] = ()
        self._scores: Tensor | None = None
        self._no_logits_error = InputError("")
        try:
            found = context.read(self._output, context.run.tracer, features.values())
            scores, found_activation, self._notes = found.logits, found.activation, found.notes
            require_rows(scores, len(self._shown))
        except InputError as exc:  # raised later: a target that is a function of the output needs no logits
            self._no_logits_error = type(exc)(str(exc))
        else:
            require_finite(scores, "the logits")
            self._scores = scores
        for name, a in features.items():  # checked too: a head may turn infinite activations into finite logits
            require_finite(a, f"the activations at layer {name!r}")
        self.activation: Activation = context.request.activation or found_activation or "softmax"
        self.layout_notes = context.layout_notes()

    @property
    def axes(self) -> Axes:
        """The axes of the clip."""
        return self._context.axes

    @property
    def is_of_transformer(self) -> bool:
        """Whether relevance alone was asked for, and its pass has found a transformer."""
        return self._passes.are_of_transformer

    @property
    def layers(self) -> tuple[str, ...]:
        """Dotted names of the target layers."""
        return tuple(self.activations_of_layers)

    @property
    def scores(self) -> Tensor:
        """Logits (N, K), with the graph of the head.

        Raises:
            InputError: the model does not return logits.
        """
        if self._scores is None:
            raise self._no_logits_error
        return self._scores

    @property
    def logits(self) -> Tensor:
        """Logits (N, K) detached, float32 at least."""
        return self.scores.detach()

    def ranking(self) -> Tensor:
        """What classes are ranked by, (N, K) float64: probabilities, or the values if the activation is `none`."""
        scores = double(self.logits)
        if self.activation == "none":
            return scores
        return scores.softmax(dim=1) if self.activation == "softmax" else scores.sigmoid()

    def explain(
        self, target: Target = None, *, score: ScoreName | None = None, methods: Sequence[str] | None = None
    ) -> Explanation:
        """Make the maps of one target per clip; see `vidcam.explain`.

        Args:
            target: a class, one class per clip, a function, or None for the predicted class.
            score: kind of score; None: that of the request.
            methods: None: those of the request.

        Raises:
            LayerError: the score does not depend on the layer; the message names a layer on which it does.
        """
        own = self._context.request
        request = replace(own, score=score or own.score, methods=own.methods if methods is None else methods)
        score_target = self.score_target(target, request)
        with self._suggest_layer():
            gradients: Mapping[str, Tensor] = {}
            if needs_layer(request.methods):
                with self._no_autocast():
                    gradients = self._recorder.gradients(score_target.score, score_target.direction)
            return self._explanation(score_target, gradients, request)

    def explain_each(self, targets: Sequence[Target]) -> tuple[Explanation, ...]:
        """Explain several targets. If all are classes, one batched backward through the head serves them.

        Raises:
            InputError: no target.
            LayerError: as `explain`.
        """
        request = self._context.request
        if not targets:
            raise InputError("targets is empty, expected one or more; None stands for the predicted class")
        if len(targets) == 1 or any(map(callable, targets)) or not needs_layer(request.methods):
            return tuple(self.explain(target) for target in targets)
        score_targets = [self.score_target(target, request) for target in targets]
        with self._suggest_layer():
            with self._no_autocast():
                directions = torch.stack([score_target.direction for score_target in score_targets])
                products = self._recorder.products(self.scores, directions)
            return tuple(
                self._explanation(score_target, {name: product[i] for name, product in products.items()}, request)
                for i, score_target in enumerate(score_targets)
            )

    def score_of(self, target: Target = None) -> ScoreOf:
        """Return the score of a target as a function of the clip; see `input_score`. Use it while the pass is open."""
        return self._score_of(self.score_target(target, self._context.request), self._context.request)

    def _score_of(self, target: ScoreTarget, request: MapRequest) -> ScoreOf:
        features = self.activations_of_layers.values()
        return input_score(self._context, target, request.score, self.activation, features)

    def score_target(self, target: Target, request: MapRequest) -> ScoreTarget:
        """Return the score that a target stands for."""
        if callable(target):
            return function_target(self._output, target, request, len(self._shown))
        return class_target(self.scores, target, request.contrast, request.score, self.activation)

    def _no_autocast(self) -> NoAutocast:
        """Turn autocast off for sums, so that half precision is summed in float32. The network runs unchanged."""
        return NoAutocast(self._shown.device.type)

    @contextmanager
    def _suggest_layer(self) -> Iterator[None]:
        """Turn a NoGradientError into a LayerError that names a layer with a gradient."""
        try:
            yield
        except NoGradientError as exc:
            context = self._context
            with self._recorder.paused():
                suggestion = last_layer_with_gradient(
                    context.model,
                    context.clip,
                    context.request.reshape,
                    like=self.layers[-1],
                    axes=context.request.axes,
                )
            raise LayerError(str(exc) if suggestion is None else f"{exc}, such as {suggestion!r}") from exc

    def _explanation(self, target: ScoreTarget, gradients: Mapping[str, Tensor], request: MapRequest) -> Explanation:
        with self._no_autocast():
            explanation = self._layer_explanation(target, gradients, request)
        if any(name in INPUT_METHODS for name in request.methods):
            score = self._score_of(target, request)
            explanation = with_input_maps(explanation, self._context, score, request)
        explanation = self._passes.with_maps(explanation, target, request)
        volumes, size = explanation.volumes, explanation.input_size
        kept = {name: volumes[name] for name in request.methods if name not in GUIDED}
        guided = [name for name in request.methods if name in GUIDED]
        if not guided:
            return replace(explanation, volumes=kept)
        heat = {name: relative_to_maximum(upsample_volume(volumes[GUIDED[name]], size)) for name in guided}
        saliency = saliency_of(self._context, target, self.activations_of_layers.values())
        return replace(
            explanation,
            volumes=kept,
            guided={name: saliency * heat[name][:, None] for name in guided},
        )

    def _layer_explanation(
        self, target: ScoreTarget, gradients: Mapping[str, Tensor], request: MapRequest
    ) -> Explanation:
        methods = layer_methods(request.methods)
        data = {layer: self._layer_data(layer, each, target, request) for layer, each in gradients.items()}
        maps = {layer: layer_data.volumes(methods) for layer, layer_data in data.items()}
        suffix = {layer: f" at {layer}" if len(maps) > 1 else "" for layer in maps}
        alpha = {name + suffix[at]: audit for at in data for name, audit in data[at].audits(maps[at]).items()}
        return Explanation(
            volumes={
                name: fuse([to_numpy(_summed_evenly(name, each[name])) for each in maps.values()], self._context.fusion)
                for name in methods
            }
            if len(maps) > 1
            else {name: to_numpy(volume) for each in maps.values() for name, volume in each.items()},
            logits=to_numpy(target.score.detach().unsqueeze(1) if self._scores is None else self._scores),
            target=np.full(len(self._shown), OF_FUNCTION) if target.classes is None else to_numpy(target.classes),
            contrast=None if target.contrasts is None else to_numpy(target.contrasts),
            layer=" + ".join(self.layers),
            input_size=tuple(self._shown.shape[2:]),
            alpha=alpha,
            alpha_exact=self._is_exact(target, request) if "gradcam++" in methods else None,
            clamped={name + suffix[at]: share for at in data for name, share in data[at].clamped(methods).items()},
            activation=self.activation,
            notes=(
                *self._context.run.notes,
                *self.layout_notes,
                *(self._notes if target.function is None else ()),
                *(note for name, audit in alpha.items() for note in alpha_note(name, audit)),
            ),
        )

    def _layer_data(self, layer: str, gradient: Tensor, target: ScoreTarget, request: MapRequest) -> LayerData:
        gradients = self._context.features(layer, gradient)
        require_finite(gradients, f"the gradients at layer {layer!r}")
        if gradients.numel() < gradient.numel() and not bool(gradients.any()) and bool(gradient.any()):
            raise NoGradientError(
                f"layer {layer!r} has a gradient at the class token only, none on its grid; choose an earlier layer"
            )
        return LayerData(
            activations=self.activations_of_layers[layer],
            gradients=gradients,
            score_scale=request.score_scale,
            baseline_activations=lambda: request.baseline_at(layer, self.activations_of_layers[layer].shape[1:]),
            classifier=lambda: self._classifier(layer, target, request),
            softmax=cache(lambda: self._softmax(layer, target, request)),
        )

    def _classifier(self, layer: str, target: ScoreTarget, request: MapRequest) -> Tensor:
        if target.classes is None:
            raise InputError("target is a function, but cam needs a class: it reads the classifier's weights")
        weights = classifier_weights(self._context.model, self.activations_of_layers[layer], self.scores)
        weights = -weights if request.score == "negative" else weights
        return (
            weights[target.classes] if target.contrasts is None else weights[target.classes] - weights[target.contrasts]
        )

    def _softmax(self, layer: str, target: ScoreTarget, request: MapRequest) -> SoftmaxForm:
        is_negative = request.score == "negative"
        if target.classes is None or target.contrasts is not None or is_negative or self.activation != "softmax":
            raise InputError(
                "gradcam++softmax needs one class and a softmax; no contrast, function, sigmoid or negative score"
            )

        def products(directions: Tensor) -> Tensor:
            layer_products = self._recorder.products(self.scores, directions)[layer]
            return torch.stack([self._context.features(layer, product) for product in layer_products])

        chunk, tail = request.softmax_chunk, request.softmax_tail
        return softmax_form(
            self.activations_of_layers[layer], self.logits, target.classes, products, chunk=chunk, tail=tail
        )

    def _is_exact(self, target: ScoreTarget, request: MapRequest) -> bool | None:
        if request.score == "probability":  # softmax and sigmoid are curved, whatever the head is
            return False
        return self._recorder.is_piecewise_linear((target.score * target.direction).sum())


def open_attribution(
    model: nn.Module, clip: Input, request: MapRequest, undo: Undo, arguments: Arguments | None = None
) -> Attribution:
    """Run the model once and keep the graph of its head, until `undo`.

    Raises:
        NameNotFoundError, LayerError: the layer does not exist or cannot have a map.
        InputError: weights made in inference mode.
        NonFiniteError: NaN or infinity in the logits or the activations.
    """
    network = unwrapped(model)
    require_explainable(network)
    require_ordinary(network)
    require_apart(network, len(reference(clip)))
    preserve_model(network, undo)
    hand_over(network, arguments, undo)
    shown = ordinary(clip)
    if needs_layer(request.methods):
        run = run_layers(network, shown, request.layers, request.reshape, undo, axes=request.axes)
        context, main = ForwardContext(network, shown, request, run), {}
    else:
        method = next(name for name in request.methods if name in RELEVANCE)
        main = {method: open_relevance(network, shown, request, undo, method=method)}
        context = main[method].context
    return Attribution(context, RelevancePasses(context, request, undo, main))


def _summed_evenly(method: str, volume: Tensor) -> Tensor:
    """Divide the map of a method whose weights are sums over the layer's cells, where gradcam's are means."""
    return volume / volume[0].numel() if method in WEIGHTS_ARE_SUMS else volume
