"""Score one clip: one original forward pass, the maps of all methods from it, the perturbed clips, the rows.

Random choices are those of the clip: each generator is seeded by the run's seed, the clip's place in the set and what
it is for, so that a row does not depend on what was scored before it.
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
from vidcam.metrics.controls import centre_heat, shuffled_cells
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
from vidcam.pipelines.score.rows import Facts, explanation_row, map_row
from vidcam.pipelines.score.samples import Sample
from vidcam.preprocess import fill_for
from vidcam.results.explanation import Activation, Artifact, Explanation

_TIES, _CONTROL, _SHUFFLE = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class _Original:
    """The result of the one original forward pass.

    Attributes:
        explanation: of the predicted class.
        post: of its probability's gradient; None where it was not asked for.
        label_explanation: of the label's class, for localisation; None where none is measured.
        label_index: of the label's class; None where there is no label that the model knows.
        log_probability: of the predicted class.
        activation: behind the logits.
        notes: what one should know about the measures of localisation.
    """

    explanation: Explanation
    post: Explanation | None
    label_explanation: Explanation | None
    label_index: int | None
    log_probability: float
    activation: Activation
    notes: tuple[str, ...]

    @property
    def target_index(self) -> int:
        """The predicted class."""
        return int(self.explanation.target[0])


class ClipScorer:
    """A model with its request, ready for any number of clips.

    Attributes:
        forwards: runs the perturbed clips, and counts them.
        originals: original forward passes so far.
    """

    def __init__(self, model: Model, request: ScoreRequest, artifact: Artifact | None) -> None:
        self._model, self._request, self._artifact = model, request, artifact
        self.forwards = MaskedForwards(model, request.batch_size)
        self.originals = 0

    def score(self, sample: Sample) -> list[Row]:
        """One row for each map, or one that says why the clip was left out.

        Raises:
            VidcamError: the clip cannot be scored.
            RuntimeError: torch's own.
        """
        clip = sample.tensor.unsqueeze(0).to(self._model.device)
        request, scaling = self._request, self._model.spec.scaling
        original = self._original(sample, clip)
        facts = self._facts(sample, original)
        if reason := self._left_out(facts):
            return [facts.row() | {"status": LEFT_OUT, "reason": reason}]
        masked = MaskedClip(clip, fill_for(clip, request.fill, scaling))
        maps = list(self._maps(sample, original))
        perturbations = chain(
            clip_perturbations(masked, request.measures, scaling, self._generator(sample, _SHUFFLE)),
            *(map_perturbations(masked, scored, request.measures, request.thetas) for scored in maps),
        )
        logs = self.forwards.run(perturbations, original.target_index, original.activation)
        facts = replace(facts, batch_size=self.forwards.batch_size)
        return [
            map_row(facts, scored, logs, request, sample.inside)
            | explanation_row(scored.name, original.explanation, original.post, self._artifact)
            for scored in maps
        ]

    def _original(self, sample: Sample, clip: Tensor) -> _Original:
        label_index = known_label(self._model, sample.entry.label)
        with Undo() as undo, undo:
            run = open_attribution(self._model.module, clip, self._request, undo)
            self.originals += 1
            explanation = run.explain()
            target = explanation.target.tolist()
            post = run.explain(target, score="probability") if "relative" in self._request.measures else None
            of_label, notes = self._label_explanation(sample, label_index, explanation, run.explain)
            activation = run.activation
        log = log_probability(run.logits, explanation.target, activation)
        return _Original(explanation, post, of_label, label_index, float(log[0]), activation, notes)

    def _label_explanation(
        self,
        sample: Sample,
        label_index: int | None,
        explanation: Explanation,
        explain: Callable[[list[int]], Explanation],
    ) -> tuple[Explanation | None, tuple[str, ...]]:
        """The maps that are compared with the boxes: of the label, without a label of the predicted class."""
        label = sample.entry.label
        if sample.inside is None or "localization" not in self._request.measures:
            return None, ()
        if label_index is not None:
            return (explanation if label_index == int(explanation.target[0]) else explain([label_index])), ()
        if label:
            return None, (f"no localisation: the model has no label {label!r}",)
        return explanation, ("localisation is that of the predicted class: there is no label",)

    def _facts(self, sample: Sample, original: _Original) -> Facts:
        target, label_index = original.target_index, original.label_index
        return Facts(
            entry=sample.entry,
            start_seconds=sample.start_seconds,
            label=self._model.label(target),
            is_correct=None if label_index is None else label_index == target,
            log_probability=original.log_probability,
            warnings=(*sample.warnings, *original.notes),
            batch_size=self.forwards.batch_size,
            content=sample.content,
        )

    def _left_out(self, facts: Facts) -> str:
        least = self._request.min_confidence
        if np.exp(facts.log_probability) < least:
            return f"the probability is below {least:g}"
        if self._request.correct_only and not facts.is_correct:
            return "the class is not the label" if facts.entry.label else "no label to compare the class with"
        return ""

    def _generator(self, sample: Sample, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._request.seed, sample.entry.index, purpose])

    def _maps(self, sample: Sample, original: _Original) -> Iterator[ScoredMap]:
        explanation, post, of_label = original.explanation, original.post, original.label_explanation
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
                post=None if post is None else _heat(post.volumes[method][0], size),
                label_map=None if of_label is None else _heat(of_label.volumes[method][0], size),
            )
        if self._request.controls:
            yield from self._controls(sample, original, ties)

    def _controls(self, sample: Sample, original: _Original, ties: RankedTies) -> Iterator[ScoredMap]:
        """`random` is the first method's map in another order, for localisation that method's map of the label."""
        size, measures = original.explanation.input_size, self._request.measures

        def shuffled(explanation: Explanation) -> Floats:
            volume = explanation.volumes[self._request.methods[0]][0]
            return _heat(shuffled_cells(volume, self._generator(sample, _CONTROL)), size)

        random, of_label = shuffled(original.explanation), original.label_explanation
        label_map = None if of_label is None else random if of_label is original.explanation else shuffled(of_label)
        centre = centre_heat(size).astype(np.float32)  # type: ignore[arg-type]
        is_empty = not bool((random > 0).any())
        yield scored_map("random", random, ties, measures, is_empty=is_empty, label_map=label_map)
        yield scored_map("centre", centre, ties, measures, label_map=None if label_map is None else centre)


def known_label(model: Model, label: str) -> int | None:
    """The index of a label, None where the model does not know it or none was given."""
    try:
        return model.label_index(label) if label else None
    except ValueError:
        return None


def _heat(volume: Floats, size: tuple[int, ...]) -> Floats:
    return np.asarray(normalise_per_clip(upsample_volume(volume[None], size))[0])
