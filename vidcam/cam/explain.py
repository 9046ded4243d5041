"""One forward pass, one plain backward through the head, all maps of the family.

`explain` is the one-shot use. `attribution` keeps the forward pass open, so that the caller can look at the logits
before choosing targets and explain several of them from the one pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.cam.audit import audit_alpha
from vidcam.cam.layers import default_layer, dotted_name, is_channels_first, list_layers
from vidcam.cam.methods import DEFAULT_METHODS, METHODS, canonical_methods
from vidcam.cam.record import Tape, record
from vidcam.cam.volume import combine
from vidcam.cam.weights import at_least_float32
from vidcam.errors import InputError, LayerError, NonFiniteError, ShapeError
from vidcam.explanation import AlphaAudit, Explanation

Target = int | Sequence[int] | None


class Attribution:
    """An open forward pass of N clips whose classes can be explained, as often as wanted.

    Attributes:
        logits: (N, K) detached, the model's scores.
        layer: dotted name of the target layer.
    """

    def __init__(self, tape: Tape, scores: Tensor, *, layer: str, input_size: tuple[int, ...]) -> None:
        self._tape = tape
        self._scores = scores
        self._input_size = input_size
        self.layer = layer
        self.logits = scores.detach()

    @property
    def activations(self) -> Tensor:
        """A, (N, D, t, h, w), detached."""
        return self._tape.activations[self.layer]

    def explain(
        self, target: Target = None, *, foil: int | None = None, methods: Iterable[str] = DEFAULT_METHODS
    ) -> Explanation:
        """Maps of one target for each clip, from the one forward pass; see `explain`."""
        names = canonical_methods(methods)
        classes = self._classes(target)
        foils = None if foil is None else self._classes(foil)
        score = self._score(classes, foils)
        activations = self.activations
        gradients = self._tape.gradients(score)[self.layer]
        require_finite(gradients, f"the gradients at layer {self.layer!r}")
        volumes = {name: combine(METHODS[name](activations, gradients), activations) for name in names}
        return Explanation(
            volumes={name: _numpy(volume) for name, volume in volumes.items()},
            logits=_numpy(self.logits),
            target=_numpy(classes),
            foil=None if foils is None else _numpy(foils),
            layer=self.layer,
            input_size=self._input_size,
            alpha=_audits(activations, gradients, volumes),
            alpha_exact=self._tape.is_piecewise_linear(score) if "gradcam++" in volumes else None,
        )

    def _score(self, classes: Tensor, foils: Tensor | None) -> Tensor:
        score = self._scores.gather(1, classes.unsqueeze(1))
        return (score if foils is None else score - self._scores.gather(1, foils.unsqueeze(1))).sum()

    def _classes(self, target: Target) -> Tensor:
        clips, classes = self.logits.shape
        if target is None:
            return self.logits.argmax(dim=1)
        chosen = torch.as_tensor(target, dtype=torch.int64, device=self.logits.device)
        chosen = chosen.expand(clips) if chosen.ndim == 0 else chosen
        if chosen.shape != (clips,):
            raise ShapeError(f"target must be one class or one for each of the {clips} clips, got {target!r}")
        if bool(((chosen < 0) | (chosen >= classes)).any()):
            raise InputError(f"target is {target!r}, expected class indices from 0 to {classes - 1}")
        return chosen


@contextmanager
def attribution(model: nn.Module, clip: Tensor, *, layer: str | None = None) -> Iterator[Attribution]:
    """Run the model once with its head's graph kept, and explain inside the context.

    Args:
        model: any module that takes `clip` and returns logits (N, K), or (N, K, t) that are averaged over t.
        clip: (N, C, T, H, W), as the model takes it; (N, C, H, W) for an image network.
        layer: dotted name; None: the last layer that still has an extent in space and time (costs a forward pass).

    Raises:
        NameNotFoundError, LayerError: the layer does not exist or cannot carry a map.
        ShapeError: the model's output is not (N, K) or (N, K, t).
        InputError: the output is probabilities.
        NonFiniteError: NaN or infinity in the logits.
    """
    name = dotted_name(layer) if layer is not None else default_layer(list_layers(model, clip[:1]))
    with record(model, [name]) as tape:
        scores = class_scores(model(clip))
        if name not in tape.activations:
            raise LayerError(f"layer {name!r} did not run in the forward pass; choose a layer that does")
        _require_map(tape.activations[name], name, clip)
        require_finite(scores, "the logits")
        _require_logits(scores)
        yield Attribution(tape, scores, layer=name, input_size=tuple(clip.shape[2:]))


def explain(
    model: nn.Module,
    clip: Tensor,
    *,
    layer: str | None = None,
    methods: Iterable[str] = DEFAULT_METHODS,
    target: Target = None,
    foil: int | None = None,
) -> Explanation:
    """Class activation maps of N clips: one forward pass, one backward through the head, all methods.

    The model is left exactly as it was: hooks, training flags, `.grad`, random state.

    Args:
        model: any module that takes `clip` and returns logits.
        clip: (N, C, T, H, W), as the model takes it; (N, C, H, W) for an image network.
        layer: dotted name of the target layer, after its ReLU; None: the last that has an extent in space and time.
        methods: `gradcam` (GC++ eq. 3), `gradcam+` (EQ 3), `gradcam++` (GC++ eq. 19).
        target: class index, one for each clip, or None for the class that the model predicts.
        foil: class to contrast with: the score is S_target - S_foil.

    Returns:
        An `Explanation`: `volumes[method]` (N, t, h, w), `heat(method)` (N, T, H, W) in [0, 1], `logits` (N, K).

    Raises:
        InputError: an unknown method or layer, a class out of range, a layer without a map, a model without logits.
        NonFiniteError: NaN or infinity in logits or gradients.
    """
    with attribution(model, clip, layer=layer) as run:
        return run.explain(target, foil=foil, methods=methods)


def class_scores(output: Any) -> Tensor:
    """Logits (N, K) of a model's output; (N, K, t) is averaged over t.

    Raises:
        ShapeError: anything else.
    """
    if isinstance(output, Tensor) and output.ndim == 2:
        return output
    if isinstance(output, Tensor) and output.ndim == 3:
        return output.mean(dim=2)
    got = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise ShapeError(f"the model returns {got}, expected logits (N, K) or (N, K, t); wrap it so that it returns them")


def _audits(activations: Tensor, gradients: Tensor, volumes: dict[str, Tensor]) -> dict[str, AlphaAudit]:
    if "gradcam++" not in volumes:
        return {}
    plus = volumes.get("gradcam+")
    if plus is None:
        plus = combine(METHODS["gradcam+"](activations, gradients), activations)
    return {"gradcam++": audit_alpha(activations, gradients, plus, volumes["gradcam++"])}


def _require_map(activations: Tensor, layer: str, clip: Tensor) -> None:
    if not is_channels_first(activations, clip):
        raise LayerError(
            f"layer {layer!r} returns {tuple(activations.shape)} for an input of {tuple(clip.shape)}, expected "
            f"(N, D, ...) with the input's axes and no finer a grid; choose a convolutional layer"
        )
    if max(activations.shape[2:]) == 1 and max(clip.shape[2:]) > 1:
        raise LayerError(
            f"layer {layer!r} has one cell only, expected a grid in space or time; choose a layer before the pooling"
        )


def require_finite(tensor: Tensor, what: str) -> None:
    """Raise a `NonFiniteError` that names the tensor if it holds NaN or infinity."""
    if not bool(torch.isfinite(tensor).all()):
        raise NonFiniteError(
            f"{what} contain NaN or infinity, expected finite numbers; check the weights and the input"
        )


def _require_logits(scores: Tensor) -> None:
    rows = scores.detach().double()
    if bool((rows >= 0).all()) and bool(((rows.sum(dim=1) - 1).abs() < 1e-4).all()) and scores.shape[1] > 1:
        raise InputError(
            "the model returns probabilities (each row adds up to 1), expected logits, because the gradient of a "
            "confident probability vanishes; let it return the scores before the softmax"
        )


def _numpy(tensor: Tensor) -> NDArray[Any]:
    detached = tensor.detach()
    return np.asarray((at_least_float32(detached) if detached.is_floating_point() else detached).cpu().numpy())
