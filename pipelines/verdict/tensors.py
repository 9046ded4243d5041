"""`verdict`: measure how far the maps of clip tensors can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.arguments import hand_over
from vidcam.cam.baseline import Baseline, compute_baseline
from vidcam.cam.fusion import Fusion
from vidcam.cam.layers import Layers, layer_names
from vidcam.cam.methods import BASELINE_METHODS
from vidcam.cam.network import Input, like_input, pathways, predicted, reference, require_finite
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.refusals import PlainRefusal
from vidcam.cam.request import MapRequest, ScoreName
from vidcam.cam.reshape import Reshape
from vidcam.cam.subject import Subject, read_subject
from vidcam.cam.weights import at_least_float32, to_numpy
from vidcam.cam.wrappers import unwrapped
from vidcam.errors import InputError
from vidcam.maps import Floats, normalise_per_clip
from vidcam.metrics.faithfulness import log_probability
from vidcam.pipelines.verdict.checks import kept_checks, map_checks
from vidcam.pipelines.verdict.passes import (
    CHEAP,
    MapPass,
    class_changes,
    map_pass,
    mirror_correlations,
    mirror_target,
    mirrored,
    runner_up,
)
from vidcam.pipelines.verdict.versions import FILLS, HeatOfClips, Key, Mask, Step, frame_mean, hidden, steps
from vidcam.preprocess import fill_for, to_pixels
from vidcam.results.explanation import OF_FUNCTION, Explanation
from vidcam.results.verdict import NOT_CHECKED, Verdict, judge
from vidcam.spec import SpecifiedModel

FORWARDS = 16
"""Default budget: forward passes of each clip."""

SAME_LOGITS = 0.01
"""An explanation belongs to a clip and a model if its logits differ by at most this share of the largest."""


def verdict(
    model: nn.Module | SpecifiedModel,
    clip: Input | Mapping[str, Any],
    explanation: Explanation,
    forwards: int = FORWARDS,
    *,
    layer: Layers = None,
    score: ScoreName = "logit",
    score_scale: float = 1.0,
    fusion: Fusion | None = None,
    reshape: Reshape | None = None,
    axes: str | None = None,
    baseline: Input | Mapping[str, Any] | Baseline | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, Verdict]:
    """Measure whether the maps of an explanation can be trusted, by a few forward passes on the same clips.

    Several clips are taken as windows of one video: the checks are means over them. The model is left as it was. Pixels
    outside a map become black, those at its peak the frame's mean colour. Without a `Model` its black is not known, and
    all become the frame's mean colour.

    Args:
        model: as in `vidcam.explain`.
        clip: the clips that were explained.
        explanation: what `vidcam.explain` returned for them, of classes; not of `score='negative'`.
        forwards: most forward passes of each clip. A map needs two of its own; all maps share six, two of them with a
            backward pass through the head. If there are too few, checks are left out, the least telling first. With 0
            nothing is measured, and each verdict is 'not checked'. A baseline that is a clip costs one pass more.
        layer: as in `vidcam.explain`; None: the layer of the explanation.
        score: as in `vidcam.explain`, like `score_scale` and `fusion`: the maps of the mirrored clip are made so too.
        score_scale: λ of gradcam++.
        fusion: how several layers are fused.
        reshape: as in `vidcam.explain`.
        axes: as in `vidcam.explain`.
        baseline: as in `vidcam.explain`; without one, `neutral-gradcam` of a plain module is not compared with its map
            of the mirrored clip.
        args: as in `vidcam.explain`.
        kwargs: as in `vidcam.explain`.
        seed: of the shuffled cells, the other place and the order of equal values.

    Returns:
        Method → verdict, guided methods included.

    Raises:
        InputError: the explanation is of another model or clip.
    """
    if forwards < 1 or explanation.activation == "none" or (explanation.target == OF_FUNCTION).any():
        return dict.fromkeys((*explanation.volumes, *explanation.guided), _unmeasured(explanation))
    subject = read_subject(model, clip, axes, args, kwargs)
    layers = layer_names(subject.network, explanation.layer.split(" + ") if layer is None else layer)
    with PlainRefusal(subject.network, subject.clip, subject.arguments):
        if not isinstance(baseline, Baseline):
            has_clip = baseline is not None or subject.model is not None
            is_needed = has_clip and bool(set(BASELINE_METHODS) & set(explanation.methods))
            baseline = (
                compute_baseline(model, baseline, layer=layers, reshape=reshape, axes=axes, args=args, kwargs=kwargs)
                if is_needed
                else None
            )
        request = _request(subject, explanation, layers, reshape, baseline)
        named = layer_names(subject.network, layer)
        request = replace(request, relevance_layers=named, score=score, score_scale=score_scale, fusion=fusion)
        return _Measurement(subject, explanation, request, seed).verdicts(forwards)


def _unmeasured(explanation: Explanation) -> Verdict:
    if explanation.activation == "none":
        return Verdict("not checked", "the model returns values, not probabilities")
    if (explanation.target == OF_FUNCTION).any():
        return Verdict("not checked", "a function was explained, not a class")
    return NOT_CHECKED


@dataclass(frozen=True, slots=True, eq=False)
class _Measurement:
    """The measurement of one explanation.

    Attributes:
        subject: the network and the clips.
        explanation: the maps.
        request: the maps to make of the mirrored clips and of the runner-up class.
        seed: seed of whatever is drawn.
    """

    subject: Subject
    explanation: Explanation
    request: MapRequest
    seed: int

    def verdicts(self, forwards: int) -> dict[str, Verdict]:
        """Measure with at most `forwards` passes of each clip, the first of which is of the clips themselves."""
        explanation = self.explanation
        has_contrast = explanation.contrast is not None
        first = map_pass(self.subject, self.request, explanation.target if has_contrast else runner_up(explanation))
        self._require_same(first.explanation)
        maps = self._maps(first)
        left = forwards - 1
        is_mirrored = left > 2 * len(maps.heats) + 2
        logs = self._logs(islice(steps(maps), left - is_mirrored), first.axes)
        changes = {} if has_contrast else class_changes(explanation, first.explanation)
        mirrors = self._mirrors(first.axes) if is_mirrored else {}
        original = log_probability(torch.from_numpy(explanation.logits), explanation.target, explanation.activation)
        confidence = float(np.exp(original).mean())
        found = {}
        for name, volume in {**explanation.volumes, **_positive(explanation.guided)}.items():
            checks = kept_checks(name, logs, original) | map_checks(volume, explanation.artifact, maps.volume.shape[1:])
            checks |= {"mirror": mirrors.get(name), "class_change": changes.get(name), "confidence": confidence}
            found[name] = judge(checks)
        return found

    def _require_same(self, other: Explanation) -> None:
        logits, now = self.explanation.logits, other.logits
        if logits.shape != now.shape or np.abs(logits - now).max() > SAME_LOGITS * (1.0 + np.abs(now).max()):
            raise InputError("explanation is of other clips or another model: the logits differ; explain them again")

    def _maps(self, first: MapPass) -> HeatOfClips:
        explanation = self.explanation
        heats = {name: explanation.heat(name) for name in explanation.methods}
        heats |= {name: normalise_per_clip(map_) for name, map_ in _positive(explanation.guided).items()}
        grid = next(iter(first.explanation.volumes.values())).shape  # that of relevance may differ from the layer's
        own = (volume for volume in explanation.volumes.values() if volume.shape == grid)
        volume = next(own, next(iter(first.explanation.volumes.values())))
        clip = reference(self.subject.clip, first.axes)
        if self.subject.model is not None:
            clip = to_pixels(clip, self.subject.model.spec.scaling)
        return HeatOfClips(heats, volume, to_numpy(at_least_float32(clip.movedim(1, -1))), self.seed)

    def _mirrors(self, axes: Axes) -> Mapping[str, float | None]:
        subject = replace(self.subject, clip=mirrored(self.subject.clip, axes))
        other = map_pass(subject, replace(self.request, axes=axes), mirror_target(self.explanation))
        return mirror_correlations(self.explanation, other.explanation)

    def _logs(self, chosen: Iterable[Step], axes: Axes) -> dict[Key, NDArray[np.float64]]:
        """Run the versions; key → (N,) log probability of the explained class."""
        network, arguments, explanation = unwrapped(self.subject.network), self.subject.arguments, self.explanation
        logs = {}
        with Undo() as undo, undo:
            preserve_model(network, undo)
            hand_over(network, arguments, undo)
            for key, mask in chosen:
                clip = self._hidden(key[1], mask(), axes)
                logits = predicted(network, clip, classes=explanation.logits.shape[1]).logits
                require_finite(logits, "the logits of a masked clip")
                logs[key] = log_probability(logits, explanation.target, explanation.activation)
        return logs

    def _hidden(self, kind: str, keep: Mask, axes: Axes) -> Input:
        clip = self.subject.clip
        views = [axes.view(part) for part in pathways(clip)]
        fills = (self._fill(kind, view) for view in views)
        parts = (hidden(view, keep, fill) for view, fill in zip(views, fills, strict=True))
        return like_input(clip, [axes.restore(part).contiguous() for part in parts])

    def _fill(self, kind: str, view: Tensor) -> Tensor:
        model = self.subject.model
        return frame_mean(view) if model is None else fill_for(view, FILLS[kind], model.spec.scaling)


def _positive(guided: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the positive part of guided maps, summed over the colours, (N, T, H, W)."""
    return {name: np.maximum(signed, 0.0).sum(axis=1) for name, signed in guided.items()}


def _request(
    subject: Subject,
    explanation: Explanation,
    layers: Sequence[str],
    reshape: Reshape | None,
    baseline: Baseline | None,
) -> MapRequest:
    """Ask for the cheap methods of an explanation; at least for gradcam, whose grid is that of the layer."""
    left_out = set(BASELINE_METHODS) if baseline is None else set[str]()
    methods = [name for name in explanation.methods if name in CHEAP and name not in left_out]
    return MapRequest(
        methods=methods or ("gradcam",),
        layers=layers,
        contrast=None if explanation.contrast is None else int(explanation.contrast[0]),
        reshape=reshape or subject.reshape,
        axes=subject.axes,
        activation=explanation.activation,
        classes=subject.classes,
        check_layout=False,
        baseline_activations={} if baseline is None else baseline.activations,
    )
