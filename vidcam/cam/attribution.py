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

from vidcam.cam.choice import chosen_layers, living_layer
from vidcam.cam.classifier import classifier_weights
from vidcam.cam.conduct import unwrapped
from vidcam.cam.evidence import LayerMaps
from vidcam.cam.fusion import fuse
from vidcam.cam.inputs import Input, first_clip, ordinary, reference
from vidcam.cam.methods import Evidence, volume_methods
from vidcam.cam.outputs import Ends, class_scores, require_finite
from vidcam.cam.record import NoGradientError, Tape, record
from vidcam.cam.request import MapRequest
from vidcam.cam.requirements import require_apart, require_map, require_ordinary, require_rows
from vidcam.cam.reshape import Reshape, unchanged
from vidcam.cam.saliency import finest_saliency
from vidcam.cam.softmax import SoftmaxForm, softmax_form
from vidcam.cam.targets import Aim, ScoreName, Target, aim_at_classes, aim_at_function
from vidcam.cam.weights import to_numpy
from vidcam.errors import InputError, LayerError, ShapeError
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.results.explanation import GUIDED, OF_FUNCTION, Activation, Explanation


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """How a model is watched.

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

    @property
    def reshape(self) -> Reshape:
        """Layer output → (N, D, t, h, w)."""
        return self.request.reshape or unchanged

    @property
    def clips(self) -> int:
        """N."""
        return int(reference(self.clip).shape[0])


class Attribution:
    """An open forward pass of N clips whose classes can be explained, as often as wanted.

    Attributes:
        activation: the function behind the logits, 'softmax' or 'sigmoid'.
    """

    def __init__(self, watch: Watch, tape: Tape, output: Any, ends: Ends) -> None:
        self._watch, self._tape, self._output = watch, tape, output
        self._activations = {name: watch.reshape(a) for name, a in tape.activations.items()}
        for name, features in self._activations.items():
            require_map(features, name, reference(watch.clip))
        found: Activation | None = None
        self._scores: Tensor | None = None
        self._refusal = InputError("")
        try:
            scores, found = class_scores(output, ends)
            require_rows(scores, watch.clips)
        except InputError as exc:  # no logits: a target that is a function of the output needs none
            self._refusal = type(exc)(str(exc))
        else:
            require_finite(scores, "the logits")
            self._scores = scores
        for name, features in self._activations.items():  # a head may bound what is infinite; a map does not
            require_finite(features, f"the activations at layer {name!r}")
        self.activation: Activation = watch.request.activation or found or "softmax"

    @property
    def layers(self) -> tuple[str, ...]:
        """Dotted names of the target layers."""
        return self._watch.layers

    @property
    def layer(self) -> str:
        """The target layers' names, joined by ' + '."""
        return " + ".join(self._watch.layers)

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

    @property
    def activations(self) -> Tensor:
        """A of the last target layer, (N, D, t, h, w), detached."""
        return self._activations[self._watch.layers[-1]]

    @property
    def activations_of_layers(self) -> Mapping[str, Tensor]:
        """Layer → its A, in the order of the layers."""
        return {layer: self._activations[layer] for layer in self._watch.layers}

    def explain(self, target: Target = None, *, score: ScoreName | None = None) -> Explanation:
        """Maps of one target for each clip, from the one forward pass; see `vidcam.explain`.

        Args:
            target: a class, one for each clip, a function, or None for the predicted class.
            score: another kind of score than the request's.
        """
        request = self._watch.request if score is None else replace(self._watch.request, score=score)
        aim = self._aim(target, request)
        with self._full_precision():
            raw = self._tape.gradients(aim.score, aim.direction)
        return self._explained(aim, raw, request)

    def explain_each(self, targets: Sequence[Target]) -> tuple[Explanation, ...]:
        """One explanation for each target, of classes all from one batched backward through the head.

        Raises:
            InputError: no target.
        """
        request = self._watch.request
        if not targets:
            raise InputError("no target was given, expected at least one; None stands for the predicted class")
        if len(targets) == 1 or any(callable(target) for target in targets):
            return tuple(self.explain(target) for target in targets)
        aims = [self._aim(target, request) for target in targets]
        with self._full_precision():
            raw = self._tape.products(self.scores, torch.stack([aim.direction for aim in aims]))
        each = [{name: gradient[index] for name, gradient in raw.items()} for index in range(len(aims))]
        return tuple(self._explained(aim, gradients, request) for aim, gradients in zip(aims, each, strict=True))

    def _aim(self, target: Target, request: MapRequest) -> Aim:
        if not callable(target):
            return aim_at_classes(self.scores, target, request.foil, request.score, self.activation)
        if request.foil is not None or request.score != "logit":
            raise InputError(
                "the target is a function of the output, expected neither a foil nor the score 'probability' with it; "
                "put both into the function"
            )
        return aim_at_function(self._output, target, self._watch.clips)

    def _full_precision(self) -> torch.autocast:
        """No autocast: the sums of what it left in halves are taken in float32. The network itself runs as before."""
        return torch.autocast(reference(self._watch.clip).device.type, enabled=False)

    def _explained(self, aim: Aim, raw: dict[str, Tensor], request: MapRequest) -> Explanation:
        names = request.methods
        needed = volume_methods(names)
        with self._full_precision():
            explanation = self._mapped(aim, raw, request, needed)
        guided = tuple(name for name in names if name in GUIDED)
        made = {name: explanation.volumes[name] for name in names if name not in GUIDED}
        products = self._guided(aim, guided, explanation.volumes) if guided else {}
        return replace(explanation, volumes=made, guided=products)

    def _mapped(self, aim: Aim, raw: dict[str, Tensor], request: MapRequest, needed: Sequence[str]) -> Explanation:
        gradients = self._gradients(raw)
        maps = {layer: LayerMaps(self._evidence(layer, gradients[layer], aim, request), needed) for layer in gradients}
        volumes = {name: fuse([to_numpy(m.volumes[name]) for m in maps.values()], request.fusion) for name in needed}
        where = {layer: f" at {layer}" if len(maps) > 1 else "" for layer in maps}
        return Explanation(
            volumes=volumes,
            logits=to_numpy(self.logits if self._scores is not None else aim.score.detach().unsqueeze(1)),
            target=np.full(self._watch.clips, OF_FUNCTION) if aim.classes is None else to_numpy(aim.classes),
            foil=None if aim.foils is None else to_numpy(aim.foils),
            layer=self.layer,
            input_size=self._input_size,
            alpha={name + where[layer]: audit for layer, m in maps.items() for name, audit in m.audits().items()},
            alpha_exact=self._is_exact(aim, request) if "gradcam++" in needed else None,
            guarded={name + where[layer]: share for layer, m in maps.items() for name, share in m.guarded().items()},
            activation=self.activation,
            notes=self._watch.notes,
        )

    def _gradients(self, raw: dict[str, Tensor]) -> dict[str, Tensor]:
        gradients = {name: self._watch.reshape(gradient) for name, gradient in raw.items()}
        for name, gradient in gradients.items():
            require_finite(gradient, f"the gradients at layer {name!r}")
            if gradient.numel() < raw[name].numel() and not bool(gradient.any()) and bool(raw[name].any()):
                raise NoGradientError(
                    f"layer {name!r} has a gradient at no place of its grid, only at what the reshape leaves out: of "
                    f"all its tokens the head reads the class token alone; choose a layer before that"
                )
        return gradients

    def _evidence(self, layer: str, gradients: Tensor, aim: Aim, request: MapRequest) -> Evidence:
        activations = self._activations[layer]
        return Evidence(
            activations=activations,
            gradients=gradients,
            lam=request.lam,
            reference=lambda: self._reference(layer),
            classifier=lambda: self._classifier(activations, aim),
            softmax=cache(lambda: self._softmax(layer, aim, request)),
        )

    def _reference(self, layer: str) -> Tensor:
        reference, shape = self._watch.request.references.get(layer), self._activations[layer].shape[1:]
        if reference is None:
            raise InputError(
                f"neutral-gradcam subtracts what layer {layer!r} shows on a clip without content, which was not given; "
                f"pass neutral= with such a clip, for example a flat grey one"
            )
        if reference.shape[1:] != shape:
            raise ShapeError(
                f"layer {layer!r} is {tuple(reference.shape[1:])} on the neutral clip and {tuple(shape)} on this one, "
                f"expected the same; pass a neutral clip of this one's size"
            )
        return reference

    def _classifier(self, activations: Tensor, aim: Aim) -> Tensor:
        if aim.classes is None:
            raise InputError("cam reads the classifier's weights of a class, expected no function as the target")
        weights = classifier_weights(self._watch.model, activations, self.scores)
        return weights[aim.classes] if aim.foils is None else weights[aim.classes] - weights[aim.foils]

    def _softmax(self, layer: str, aim: Aim, request: MapRequest) -> SoftmaxForm:
        if aim.classes is None or aim.foils is not None or self.activation != "softmax":
            raise InputError(
                "gradcam++softmax explains the softmax probability of one class, expected no foil, no function as the "
                "target and no sigmoid; leave it out of the methods"
            )

        def products(directions: Tensor) -> Tensor:
            of_layer = self._tape.products(self.scores, directions)[layer]
            return torch.stack([self._watch.reshape(product) for product in of_layer])

        return softmax_form(
            self._activations[layer],
            self.logits,
            aim.classes,
            products,
            chunk=request.softmax_chunk,
            tail=request.softmax_tail,
        )

    def _is_exact(self, aim: Aim, request: MapRequest) -> bool | None:
        if request.score == "probability":  # softmax and sigmoid are curved, whatever the head below them
            return False
        return self._tape.is_piecewise_linear((aim.score * aim.direction).sum())

    def _guided(self, aim: Aim, names: Sequence[str], volumes: Mapping[str, Floats]) -> dict[str, Floats]:
        heat = {name: normalise_per_clip(upsample_volume(volumes[GUIDED[name]], self._input_size)) for name in names}
        saliency = self._saliency(aim)
        return {name: saliency * heat[name][:, None] for name in names}

    def _saliency(self, aim: Aim) -> Floats:
        def score(output: Any, ends: Ends) -> Tensor:
            if aim.function is not None:
                return aim.function(output).sum()
            return (class_scores(output, ends)[0] * aim.direction).sum()

        with self._tape.paused():
            return finest_saliency(self._watch.model, self._watch.clip, score)

    @property
    def _input_size(self) -> tuple[int, ...]:
        return tuple(reference(self._watch.clip).shape[2:])


@contextmanager
def attribution(model: nn.Module, clip: Input, request: MapRequest) -> Iterator[Attribution]:
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
    network, shown = unwrapped(model), ordinary(clip)
    require_ordinary(network)
    require_apart(network, int(reference(shown).shape[0]))
    layers, notes = chosen_layers(network, shown, request.layers, request.reshape)
    try:
        with record(network, layers) as tape:
            with Ends() as ends:
                output = network(shown)
            silent = [name for name in layers if name not in tape.activations]
            if silent:
                raise LayerError(
                    f"layer {silent[0]!r} did not run in the forward pass, expected one that does; choose another layer"
                )
            yield Attribution(Watch(network, shown, request, layers, notes), tape, output, ends)
    except NoGradientError as exc:
        living = living_layer(network, first_clip(shown), request.reshape, like=layers[-1])
        raise LayerError(str(exc) if living is None else f"{exc}, such as {living!r}, which has one") from exc
