"""Score one clip: one forward pass of the original, the maps of all methods, the perturbed versions, the rows.

Each random generator is seeded with the run's seed, the index of the clip and a number for its purpose. So a row does
not depend on the clips that were scored before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np
from torch import Tensor

from vidcam.cam.attribution import open_attribution
from vidcam.cam.preserve import Undo
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.faithfulness import log_probability
from vidcam.metrics.order import rank_ties, tie_field
from vidcam.models.model import Model
from vidcam.pipelines.score.columns import LEFT_OUT, Row
from vidcam.pipelines.score.forwards import MaskedForwards
from vidcam.pipelines.score.perturbations import (
    MaskedClip,
    ScoredMap,
    clip_perturbations,
    map_perturbations,
    scored_map,
)
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.rows import ClipColumns, explanation_row, map_row
from vidcam.pipelines.score.samples import Sample
from vidcam.preprocess import to_pixels
from vidcam.results.explanation import INPUT_METHODS, Activation, Artifact, Explanation
from vidcam.system.progress import Progress, silent

_TIES, _CONTROL, _SHUFFLE = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class _OriginalPass:
    """The result of the forward pass of the original clip.

    Attributes:
        explanation: maps of the explained class: the predicted one, or the label with `label_in_top`.
        post_softmax: maps of its probability's gradient; None if the measure `relative` was not chosen.
        label_explanation: maps of the label's class, for localization; None if it is not measured.
        label_index: index of the clip's label; None if there is no label that the model knows.
        predicted_index: index of the most probable class.
        label_rank: number of classes that are more probable than the label; None without `label_index`.
        log_probability: log probability of the explained class.
        activation: the model's last activation after the logits.
        notes: sentences about localization, for the column `warnings`.
    """

    explanation: Explanation
    post_softmax: Explanation | None
    label_explanation: Explanation | None
    label_index: int | None
    predicted_index: int
    label_rank: int | None
    log_probability: float
    activation: Activation
    notes: tuple[str, ...]

    @property
    def target_index(self) -> int:
        """Index of the explained class."""
        return int(self.explanation.target[0])


class ClipScorer:
    """Scores clips with one model and one request.

    Attributes:
        forwards: runs the perturbed clips, and counts them.
        originals: number of forward passes of original clips so far.
    """

    def __init__(self, model: Model, request: ScoreRequest, artifact: Artifact | None) -> None:
        self._model, self._request, self._artifact = model, request, artifact
        self.forwards = MaskedForwards(model, request.batch_size)
        self.originals = 0

    def score(self, sample: Sample, progress: Progress = silent) -> list[Row]:
        """Return one row per map, or one row with the reason why the clip was left out.

        Raises:
            VidcamError: the clip cannot be scored.
            RuntimeError: PyTorch failed, for example out of memory.
        """
        clip = sample.tensor.unsqueeze(0)
        request = self._request
        original = self._original(sample, clip, progress)
        shared = self._shared_columns(sample, original)
        if reason := self._exclusion_reason(shared, original.label_rank):
            return [shared.row() | {"status": LEFT_OUT, "reason": reason}]
        masked = MaskedClip(clip, self._model.spec.scaling, request.fill)
        maps = list(self._maps(sample, original))
        perturbations = chain(
            clip_perturbations(masked, request.measures, self._generator(sample, _SHUFFLE)),
            *(map_perturbations(masked, scored, request.measures, request.thetas) for scored in maps),
        )
        logs = self.forwards.run(perturbations, original.target_index, original.activation)
        shared = replace(shared, batch_size=self.forwards.batch_size)
        return [
            map_row(shared, scored, logs, request, sample.inside)
            | explanation_row(scored.name, original.explanation, original.post_softmax, self._artifact)
            for scored in maps
        ]

    def _original(self, sample: Sample, clip: Tensor, progress: Progress) -> _OriginalPass:
        label_index = known_label(self._model, sample.entry.label)
        request = replace(self._request, progress=progress)
        with Undo() as undo, undo:
            run = open_attribution(self._model.module, self._model.input_of(clip), request, undo)
            self.originals += 1
            rank = None if label_index is None else int((run.logits[0] > run.logits[0, label_index]).sum())
            is_label = rank is not None and rank < self._request.label_in_top
            explanation = run.explain(label_index if is_label else None)
            target = explanation.target.tolist()
            at_layer = [name for name in self._request.methods if name not in INPUT_METHODS]  # EQ compares these alone
            is_compared = "relative" in self._request.measures and at_layer
            post_softmax = run.explain(target, score="probability", methods=at_layer) if is_compared else None
            label_explanation, notes = self._label_explanation(sample, label_index, explanation, run.explain)
            activation, predicted_index = run.activation, int(run.logits[0].argmax())
        log = log_probability(run.logits, explanation.target, activation)
        return _OriginalPass(
            explanation,
            post_softmax,
            label_explanation,
            label_index,
            predicted_index,
            rank,
            float(log[0]),
            activation,
            notes,
        )

    def _label_explanation(
        self,
        sample: Sample,
        label_index: int | None,
        explanation: Explanation,
        explain: Callable[[list[int]], Explanation],
    ) -> tuple[Explanation | None, tuple[str, ...]]:
        """Return the maps to compare with the boxes: of the label, or of the predicted class if there is no label."""
        label = sample.entry.label
        if sample.inside is None or "localization" not in self._request.measures:
            return None, ()
        if label_index is not None:
            return (explanation if label_index == int(explanation.target[0]) else explain([label_index])), ()
        if label:
            return None, (f"no localization: the model has no label {label!r}",)
        return explanation, ("localization uses the predicted class: the clip has no label",)

    def _shared_columns(self, sample: Sample, original: _OriginalPass) -> ClipColumns:
        target, label_index = original.target_index, original.label_index
        return ClipColumns(
            entry=sample.entry,
            start_seconds=sample.start_seconds,
            label=self._model.label(target),
            predicted=self._model.label(original.predicted_index),
            is_correct=None if label_index is None else label_index == original.predicted_index,
            log_probability=original.log_probability,
            warnings=(*sample.warnings, *original.notes),
            batch_size=self.forwards.batch_size,
            content_hash=sample.content_hash,
        )

    def _exclusion_reason(self, shared: ClipColumns, label_rank: int | None) -> str:
        threshold, most, label = self._request.min_confidence, self._request.label_in_top, shared.entry.label
        if most and label_rank is None:
            return f"the model has no label {label!r}" if label else "the clip has no label"
        if label_rank is not None and label_rank >= most > 0:
            return f"the label is not among the {most} most probable classes"
        if np.exp(shared.log_probability) < threshold:
            return f"the probability is below --min-confidence {threshold:g}"
        if self._request.correct_only and not shared.is_correct:
            return "the top class is not the label" if label else "the clip has no label"
        return ""

    def _generator(self, sample: Sample, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._request.seed, sample.entry.index, purpose])

    def _maps(self, sample: Sample, original: _OriginalPass) -> Iterator[ScoredMap]:
        explanation, post_softmax = original.explanation, original.post_softmax
        label_explanation = original.label_explanation
        size = explanation.input_size
        grid = explanation.volumes[self._request.shuffled_method][0].shape
        ties = rank_ties(tie_field(grid, size, self._generator(sample, _TIES)))  # one for all, whatever their grids
        scored = partial(scored_map, ties=ties, measures=self._request.measures)
        for method in self._request.methods:
            heat, post_softmax_map = _heat(explanation.volumes[method][0], size), _heat_of(post_softmax, method)
            yield scored(method, heat, post_softmax=post_softmax_map, label_map=_heat_of(label_explanation, method))
        for foreign in self._request.maps:
            heat = _heat(foreign.read(sample.entry.index, size), size)
            yield scored(foreign.name, heat, label_map=None if label_explanation is None else heat)
        for name in self._request.controls:
            label_map = None if label_explanation is None else self._control(name, sample, label_explanation)
            yield scored(name, self._control(name, sample, explanation), label_map=label_map)

    def _control(self, name: str, sample: Sample, explanation: Explanation) -> Floats:
        """Return a baseline map, (T, H, W) in [0, 1]; `random` is a method's map with its cells shuffled."""
        size = explanation.input_size
        if name == "random":
            volume = explanation.volumes[self._request.shuffled_method][0]
            return _heat(shuffled_cells(volume, self._generator(sample, _CONTROL)), size)
        if name == "centre":
            return centre_heat(size).astype(np.float32)  # type: ignore[arg-type]
        if name == "uniform":
            return np.ones(size, np.float32)
        pixels = to_pixels(sample.tensor[None], self._model.spec.scaling)[0].permute(1, 2, 3, 0)
        difference = frame_difference(pixels.round(decimals=3).cpu().numpy())  # scaling left the last digits uneven
        return np.asarray(normalise_per_clip(difference[None].astype(np.float32))[0])


def known_label(model: Model, label: str) -> int | None:
    """Return the index of a label; None if it is empty or the model does not know it."""
    try:
        return model.label_index(label) if label else None
    except ValueError:
        return None


def _heat_of(explanation: Explanation | None, method: str) -> Floats | None:
    """Return a method's heat; None if there is no such map."""
    if explanation is None or method not in explanation.volumes:
        return None
    return _heat(explanation.volumes[method][0], explanation.input_size)


def _heat(volume: Floats, size: tuple[int, ...]) -> Floats:
    return np.asarray(normalise_per_clip(upsample_volume(volume[None], size))[0])
