"""Score one clip: one forward pass of the original, the maps of all methods, the perturbed versions, the rows.

Each random generator is seeded with the run's seed, the index of the clip and a number for its purpose. So a row does
not depend on the clips that were scored before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from torch import Tensor

from vidcam.cam.attribution import open_attribution
from vidcam.cam.preserve import Undo
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.faithfulness import log_probability
from vidcam.metrics.order import RankedTies, rank_ties, tie_field
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
from vidcam.preprocess import fill_for, to_pixels
from vidcam.results.explanation import Activation, Artifact, Explanation

_TIES, _CONTROL, _SHUFFLE = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class _OriginalPass:
    """The result of the forward pass of the original clip.

    Attributes:
        explanation: maps of the predicted class.
        post_softmax: maps of its probability's gradient; None if the measure `relative` was not chosen.
        label_explanation: maps of the label's class, for localization; None if it is not measured.
        label_index: index of the clip's label; None if there is no label that the model knows.
        log_probability: log probability of the predicted class.
        activation: the model's last activation after the logits.
        notes: sentences about localization, for the column `warnings`.
    """

    explanation: Explanation
    post_softmax: Explanation | None
    label_explanation: Explanation | None
    label_index: int | None
    log_probability: float
    activation: Activation
    notes: tuple[str, ...]

    @property
    def target_index(self) -> int:
        """Index of the predicted class."""
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

    def score(self, sample: Sample) -> list[Row]:
        """Return one row per map, or one row with the reason why the clip was left out.

        Raises:
            VidcamError: the clip cannot be scored.
            RuntimeError: PyTorch failed, for example out of memory.
        """
        clip = sample.tensor.unsqueeze(0)
        request, scaling = self._request, self._model.spec.scaling
        original = self._original(sample, clip)
        shared = self._shared_columns(sample, original)
        if reason := self._exclusion_reason(shared):
            return [shared.row() | {"status": LEFT_OUT, "reason": reason}]
        masked = MaskedClip(clip, fill_for(clip, request.fill, scaling))
        maps = list(self._maps(sample, original))
        perturbations = chain(
            clip_perturbations(masked, request.measures, scaling, self._generator(sample, _SHUFFLE)),
            *(map_perturbations(masked, scored, request.measures, request.thetas) for scored in maps),
        )
        logs = self.forwards.run(perturbations, original.target_index, original.activation)
        shared = replace(shared, batch_size=self.forwards.batch_size)
        return [
            map_row(shared, scored, logs, request, sample.inside)
            | explanation_row(scored.name, original.explanation, original.post_softmax, self._artifact)
            for scored in maps
        ]

    def _original(self, sample: Sample, clip: Tensor) -> _OriginalPass:
        label_index = known_label(self._model, sample.entry.label)
        with Undo() as undo, undo:
            run = open_attribution(self._model.module, self._model.input_of(clip), self._request, undo)
            self.originals += 1
            explanation = run.explain()
            target = explanation.target.tolist()
            post_softmax = run.explain(target, score="probability") if "relative" in self._request.measures else None
            label_explanation, notes = self._label_explanation(sample, label_index, explanation, run.explain)
            activation = run.activation
        log = log_probability(run.logits, explanation.target, activation)
        return _OriginalPass(
            explanation, post_softmax, label_explanation, label_index, float(log[0]), activation, notes
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
            is_correct=None if label_index is None else label_index == target,
            log_probability=original.log_probability,
            warnings=(*sample.warnings, *original.notes),
            batch_size=self.forwards.batch_size,
            content_hash=sample.content_hash,
        )

    def _exclusion_reason(self, shared: ClipColumns) -> str:
        threshold = self._request.min_confidence
        if np.exp(shared.log_probability) < threshold:
            return f"the probability is below --min-confidence {threshold:g}"
        if self._request.correct_only and not shared.is_correct:
            return "the top class is not the label" if shared.entry.label else "the clip has no label"
        return ""

    def _generator(self, sample: Sample, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._request.seed, sample.entry.index, purpose])

    def _maps(self, sample: Sample, original: _OriginalPass) -> Iterator[ScoredMap]:
        explanation, post_softmax, label_explanation = (
            original.explanation,
            original.post_softmax,
            original.label_explanation,
        )
        size = explanation.input_size
        grid = explanation.volumes[self._request.methods[0]][0].shape
        ties = rank_ties(tie_field(grid, size, self._generator(sample, _TIES)))
        for method in self._request.methods:
            volume = explanation.volumes[method][0]
            yield scored_map(
                method,
                _heat(volume, size),
                ties,
                self._request.measures,
                is_empty=not bool((volume > 0).any()),
                post_softmax=None if post_softmax is None else _heat(post_softmax.volumes[method][0], size),
                label_map=None if label_explanation is None else _heat(label_explanation.volumes[method][0], size),
            )
        if self._request.controls:
            yield from self._controls(sample, original, ties)

    def _controls(self, sample: Sample, original: _OriginalPass, ties: RankedTies) -> Iterator[ScoredMap]:
        """Yield the baseline maps. Only `random` has a map of its own for the label."""
        for name in self._request.controls:
            heat, label_explanation = self._control(name, sample, original.explanation), original.label_explanation
            label_map = None if label_explanation is None else heat
            if name == "random" and label_explanation is not None:
                label_map = self._control(name, sample, label_explanation)
            is_empty = not bool((heat > 0).any())
            yield scored_map(name, heat, ties, self._request.measures, is_empty=is_empty, label_map=label_map)

    def _control(self, name: str, sample: Sample, explanation: Explanation) -> Floats:
        """Return a baseline map, (T, H, W) in [0, 1]; `random` is the first method's map with its cells shuffled."""
        size = explanation.input_size
        if name == "random":
            volume = explanation.volumes[self._request.methods[0]][0]
            return _heat(shuffled_cells(volume, self._generator(sample, _CONTROL)), size)
        if name == "centre":
            return centre_heat(size).astype(np.float32)  # type: ignore[arg-type]
        if name == "uniform":
            return np.ones(size, np.float32)
        pixels = to_pixels(sample.tensor[None], self._model.spec.scaling)[0].permute(1, 2, 3, 0)
        difference = frame_difference(pixels.round(decimals=3).cpu().numpy())  # scaling left the last digits uneven
        return normalise_per_clip(difference[None].astype(np.float32))[0]


def known_label(model: Model, label: str) -> int | None:
    """Return the index of a label; None if it is empty or the model does not know it."""
    try:
        return model.label_index(label) if label else None
    except ValueError:
        return None


def _heat(volume: Floats, size: tuple[int, ...]) -> Floats:
    return np.asarray(normalise_per_clip(upsample_volume(volume[None], size))[0])
