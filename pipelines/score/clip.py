"""Score one clip: one original forward pass, the maps of all methods from it, the masked versions, the rows.

Random choices are those of the clip: each generator is seeded by the run's seed, the clip's place in the set and what
it is for, so that a row does not depend on what was scored before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, shuffled_cells
from vidcam.metrics.faithfulness import log_probability
from vidcam.metrics.order import RankedTies, rank_ties, tie_field
from vidcam.models.model import Model
from vidcam.pipelines.forward import watched
from vidcam.pipelines.score.columns import LEFT_OUT
from vidcam.pipelines.score.forwards import Key, MaskedForwards, Version
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.perturbations import ScoredMap, Shown, clip_versions, map_versions, ranked
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.rows import Facts, Row, alpha_row, map_row, sink_flag
from vidcam.pipelines.score.samples import Sample
from vidcam.preprocess import fill_for
from vidcam.results.explanation import Activation, Explanation, Sink

_TIES, _CONTROL, _SHUFFLE = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class _Original:
    """What the one original forward pass gave.

    Attributes:
        explanation: of the predicted class.
        post: of its probability's gradient; None where it was not asked for.
        told: of the label's class, for localisation; None without boxes.
        log_probability: of the predicted class.
        activation: behind the logits.
    """

    explanation: Explanation
    post: Explanation | None
    told: Explanation | None
    log_probability: float
    activation: Activation


class ClipScorer:
    """A model with its request settled, ready for any number of clips."""

    def __init__(self, model: Model, request: ScoreRequest, options: ScoreOptions, sink: Sink | None) -> None:
        self._model, self._request, self._options, self._sink = model, request, options, sink
        self._measures, self._thetas = options.chosen_measures, options.thetas
        self.forwards = MaskedForwards(model, request.batch_size)
        self.originals = 0

    def score(self, sample: Sample) -> list[Row]:
        """One row for each map, or one that says why the clip was left out.

        Raises:
            VidcamError: the clip cannot be scored.
            RuntimeError: torch's own.
        """
        clip = sample.tensor.unsqueeze(0).to(self._model.device)
        original = self._original(sample, clip)
        facts = self._facts(sample, original)
        reason = self._left_out(facts)
        if reason:
            return [facts.row() | {"status": LEFT_OUT, "reason": reason}]
        shown = Shown(clip, fill_for(clip, self._options.fill, self._model.spec.scaling))
        maps = list(self._maps(sample, original))
        target = int(original.explanation.target[0])
        logs = self.forwards.run(self._versions(sample, shown, maps), target, original.activation)
        facts = replace(facts, batch_size=self.forwards.batch_size)
        return [self._row(facts, scored, logs, original, sample) for scored in maps]

    def _original(self, sample: Sample, clip: Any) -> _Original:
        needs_post = "relative" in self._measures
        with watched(self._model, clip, self._request) as run:
            self.originals += 1
            explanation = run.explain()
            post = run.explain(explanation.target.tolist(), score="probability") if needs_post else None
            told = self._told(sample, explanation, run.explain)
            activation = run.activation
        log = log_probability(run.logits, explanation.target, activation)
        return _Original(explanation, post, told, float(log[0]), activation)

    def _told(self, sample: Sample, explanation: Explanation, explain: Any) -> Explanation | None:
        """The maps of the tube's class: the label's, without a label the predicted one's; None of an unknown label."""
        index = known_label(self._model, sample.entry.label)
        if not self._is_localised(sample) or (index is None and sample.entry.label):
            return None
        return explanation if index in (None, int(explanation.target[0])) else explain([index])

    def _is_localised(self, sample: Sample) -> bool:
        return sample.inside is not None and "localization" in self._measures

    def _notes(self, sample: Sample, known: int | None) -> tuple[str, ...]:
        """What one should know about the measures of localisation."""
        if not self._is_localised(sample) or known is not None:
            return ()
        label = sample.entry.label
        if label:
            return (f"no localisation: the model has no label {label!r}",)
        return ("localisation is that of the predicted class: there is no label",)

    def _facts(self, sample: Sample, original: _Original) -> Facts:
        entry, target = sample.entry, int(original.explanation.target[0])
        known = known_label(self._model, entry.label)
        return Facts(
            entry=entry,
            start_seconds=sample.start_seconds,
            label=self._model.label(target),
            is_correct=None if known is None else known == target,
            log_probability=original.log_probability,
            warnings=(*sample.warnings, *self._notes(sample, known)),
            batch_size=self.forwards.batch_size,
            content=sample.content,
        )

    def _left_out(self, facts: Facts) -> str:
        least = self._options.min_confidence
        if np.exp(facts.log_probability) < least:
            return f"the probability is below {least:g}"
        if self._options.correct_only and not facts.is_correct:
            return "the class is not the label" if facts.entry.label else "no label to compare the class with"
        return ""

    def _generator(self, sample: Sample, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self._options.seed, sample.entry.index, purpose])

    def _maps(self, sample: Sample, original: _Original) -> Iterator[ScoredMap]:
        first = original.explanation.volumes[self._request.methods[0]][0]
        size = original.explanation.input_size
        ties = rank_ties(tie_field(first.shape, size, self._generator(sample, _TIES)))
        for method in self._request.methods:
            volume = original.explanation.volumes[method][0]
            yield self._map(
                method,
                _heat(volume, size),
                ties,
                is_empty=not bool((volume > 0).any()),
                post=None if original.post is None else _heat(original.post.volumes[method][0], size),
                told=None if original.told is None else _heat(original.told.volumes[method][0], size),
            )
        if self._options.controls:
            yield from self._controls(sample, original, ties, size)

    def _controls(
        self, sample: Sample, original: _Original, ties: RankedTies, size: tuple[int, ...]
    ) -> Iterator[ScoredMap]:
        """`random` is the first method's map in another order, for localisation that method's map of the label."""
        random = self._shuffled(sample, original.explanation, size)
        told: Floats | None = random
        if original.told is not original.explanation:
            told = None if original.told is None else self._shuffled(sample, original.told, size)
        centre = centre_heat(size).astype(np.float32)  # type: ignore[arg-type]
        yield self._map("random", random, ties, is_empty=not bool((random > 0).any()), told=told)
        yield self._map("centre", centre, ties, told=None if told is None else centre)

    def _shuffled(self, sample: Sample, explanation: Explanation, size: tuple[int, ...]) -> Floats:
        volume = explanation.volumes[self._request.methods[0]][0]
        return _heat(shuffled_cells(volume, self._generator(sample, _CONTROL)), size)

    def _map(
        self,
        name: str,
        heat: Floats,
        ties: RankedTies,
        *,
        is_empty: bool = False,
        post: Floats | None = None,
        told: Floats | None = None,
    ) -> ScoredMap:
        order, frames = ranked(heat, ties, self._measures)
        return ScoredMap(name, heat, is_empty, post, order, frames, told)

    def _versions(self, sample: Sample, shown: Shown, maps: list[ScoredMap]) -> Iterator[Version]:
        shuffle = self._generator(sample, _SHUFFLE)
        once = clip_versions(shown, self._measures, self._model.spec.scaling, shuffle)
        return chain(once, *(map_versions(shown, scored, self._measures, self._thetas) for scored in maps))

    def _row(
        self, facts: Facts, scored: ScoredMap, logs: Mapping[Key, float], original: _Original, sample: Sample
    ) -> Row:
        row = map_row(facts, scored, logs, self._options, sample.inside)
        return row | evidence_row(scored.name, original, self._sink)


def known_label(model: Model, label: str) -> int | None:
    """The index of a label, None where the model does not know it or none was given."""
    try:
        return model.label_index(label) if label else None
    except ValueError:
        return None


def evidence_row(method: str, original: _Original, sink: Sink | None) -> Row:
    """What the original forward pass says about a method's map: the audit of α, the sink, the probability's map."""
    if method not in original.explanation.volumes:
        return {}
    post = None if original.post is None else not bool((original.post.volumes[method] > 0).any())
    empty = {} if post is None else {"empty_post": post}
    return {**empty, **sink_flag(original.explanation, method, sink), **alpha_row(original.explanation, method)}


def _heat(volume: Floats, size: tuple[int, ...]) -> Floats:
    return np.asarray(normalise_per_clip(upsample_volume(volume[None], size))[0])
