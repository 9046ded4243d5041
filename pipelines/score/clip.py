"""Score one clip: a forward pass of each window, the maps of all methods, the perturbed versions, the rows.

All windows of a clip are explained for one class: that with the highest mean probability, or the label if
`--label-in-top` asks for it. Each random generator is seeded with the run's seed, the index of the clip, a number for
its purpose, and the window. So a row does not depend on the clips that were scored before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from vidcam.cam.attribution import open_attribution
from vidcam.cam.preserve import Undo
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.faithfulness import log_probability
from vidcam.metrics.order import rank_ties, tie_field
from vidcam.models.model import Model
from vidcam.pipelines.score.columns import LEFT_OUT, Row
from vidcam.pipelines.score.forwards import Key, MaskedForwards
from vidcam.pipelines.score.perturbations import (
    MaskedClip,
    ScoredMap,
    clip_perturbations,
    map_perturbations,
    scored_map,
)
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.rows import ClipColumns, explanation_row, heat_row, map_row
from vidcam.pipelines.score.samples import Sample, Windows
from vidcam.pipelines.score.window_means import mean_log, mean_logs, mean_row
from vidcam.preprocess import to_pixels
from vidcam.results.explanation import INPUT_METHODS, Activation, Artifact, Explanation
from vidcam.system.progress import Progress, silent

_TIES, _CONTROL, _SHUFFLE = range(3)
_TOP = 5


@dataclass(frozen=True, slots=True, eq=False)
class _OriginalPass:
    """The result of the forward pass of the original clip.

    Attributes:
        explanation: maps of the explained class: the predicted one, or the label with `label_in_top`.
        post_softmax: maps of its probability's gradient; None if the measure `relative` was not chosen.
        label_explanation: maps of the label's class, for localization; None if it is not measured.
        label_index: index of the clip's label; None if there is no label that the model knows.
        log_probability: log probability of the explained class.
        ranking: (K,) probability of each class.
        activation: the model's last activation after the logits.
        notes: sentences about localization, for the column `warnings`.
    """

    explanation: Explanation
    post_softmax: Explanation | None
    label_explanation: Explanation | None
    label_index: int | None
    log_probability: float
    ranking: NDArray[np.float64] = field(repr=False)
    activation: Activation
    notes: tuple[str, ...]

    @property
    def target_index(self) -> int:
        """Index of the explained class."""
        return int(self.explanation.target[0])


@dataclass(frozen=True, slots=True, eq=False)
class _WindowScores:
    """The scores of one window.

    Attributes:
        log_probability: log Y.
        logs: log probability of each perturbed version.
        rows: method or control → the columns that need only its map.
        notes: sentences for the column `warnings`.
    """

    log_probability: float
    logs: Mapping[Key, float] = field(repr=False)
    rows: Mapping[str, Row] = field(repr=False)
    notes: tuple[str, ...]


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

    def score(self, windows: Windows, progress: Progress = silent) -> list[Row]:
        """Return one row per map, or one row with the reason why the clip was left out.

        Args:
            windows: the windows of the clip, at least one; they are gone through twice if there are several.
            progress: called as maps that take many forward passes are made.

        Raises:
            VidcamError: the clip cannot be scored.
            RuntimeError: PyTorch failed, for example out of memory.
        """
        ranking = None if len(windows) == 1 else self._ranking(windows)
        scored: list[_WindowScores] = []
        for index, sample in enumerate(windows):
            original = self._original(sample, ranking, progress)
            if not index:
                shared, rank = self._shared_columns(sample, original, ranking, len(windows))
                if reason := self._exclusion_reason(shared, rank):
                    return [shared.row() | {"status": LEFT_OUT, "reason": reason}]
            scored.append(self._window(sample, original, index))
        shared = replace(
            shared,
            log_probability=mean_log([window.log_probability for window in scored]),
            warnings=tuple(dict.fromkeys(note for window in scored for note in window.notes)),
            batch_size=self.forwards.batch_size,
        )
        logs, frames = mean_logs([window.logs for window in scored]), sample.tensor.shape[1]
        return [
            map_row(shared, name, logs, self._request, mean_row([w.rows[name] for w in scored]), frames=frames)
            for name in self._request.row_names
        ]

    def _ranking(self, windows: Windows) -> NDArray[np.float64]:
        """Return the mean probability of each class over the windows, (K,)."""
        request, total = replace(self._request, methods=self._request.methods[:1]), np.zeros(self._model.spec.classes)
        for sample in windows:
            with Undo() as undo, undo:
                clip = self._model.input_of(sample.tensor.unsqueeze(0))
                total += open_attribution(self._model.module, clip, request, undo).ranking()[0].cpu().numpy()
                self.originals += 1
        return np.asarray(total / len(windows))

    def _window(self, sample: Sample, original: _OriginalPass, index: int) -> _WindowScores:
        """Score the maps of one window."""
        request, clip = self._request, sample.tensor.unsqueeze(0)
        masked = MaskedClip(clip, self._model.spec.scaling, request.fill)
        maps = list(self._maps(sample, original, index))
        perturbations = chain(
            clip_perturbations(masked, request.measures, self._generator(sample, _SHUFFLE, index)),
            *(map_perturbations(masked, scored, request.measures, request.thetas) for scored in maps),
        )
        logs = self.forwards.run(perturbations, original.target_index, original.activation)
        rows = {
            scored.name: heat_row(scored, request, sample.inside)
            | explanation_row(scored.name, original.explanation, original.post_softmax, self._artifact)
            for scored in maps
        }
        return _WindowScores(original.log_probability, logs, rows, (*sample.warnings, *original.notes))

    def _original(self, sample: Sample, mean_ranking: NDArray[np.float64] | None, progress: Progress) -> _OriginalPass:
        """Run a window and explain the clip's class, which the mean over several windows decides."""
        label_index = known_label(self._model, sample.entry.label)
        request = replace(self._request, progress=progress)
        with Undo() as undo, undo:
            clip = self._model.input_of(sample.tensor.unsqueeze(0))
            run = open_attribution(self._model.module, clip, request, undo)
            self.originals += 1
            ranking = np.asarray(run.ranking()[0].cpu().numpy())
            explanation = run.explain(self._target(ranking if mean_ranking is None else mean_ranking, label_index))
            target = explanation.target.tolist()
            at_layer = [name for name in self._request.methods if name not in INPUT_METHODS]  # EQ compares these alone
            is_compared = "relative" in self._request.measures and at_layer
            post_softmax = run.explain(target, score="probability", methods=at_layer) if is_compared else None
            label_explanation, notes = self._label_explanation(sample, label_index, explanation, run.explain)
            activation = run.activation
        log = log_probability(run.logits, explanation.target, activation)
        return _OriginalPass(
            explanation, post_softmax, label_explanation, label_index, float(log[0]), ranking, activation, notes
        )

    def _target(self, ranking: NDArray[np.float64], label_index: int | None) -> int:
        """Return the index of the explained class: the predicted one, or the label with `label_in_top`."""
        rank = _rank(ranking, label_index)
        if label_index is not None and rank is not None and rank < self._request.label_in_top:
            return label_index
        return int(ranking.argmax())

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

    def _shared_columns(
        self, sample: Sample, original: _OriginalPass, mean_ranking: NDArray[np.float64] | None, windows: int
    ) -> tuple[ClipColumns, int | None]:
        """Return the columns of a clip, from its first window and the mean over several, and the label's rank."""
        target, label_index = original.target_index, original.label_index
        ranking = original.ranking if mean_ranking is None else mean_ranking
        rank, predicted = _rank(ranking, label_index), int(ranking.argmax())
        columns = ClipColumns(
            entry=sample.entry,
            start_seconds=sample.start_seconds,
            label=self._model.label(target),
            predicted=self._model.label(predicted),
            is_correct=None if label_index is None else label_index == predicted,
            is_correct_top5=None if rank is None or ranking.size <= _TOP else rank < _TOP,
            windows=windows,
            log_probability=original.log_probability if mean_ranking is None else float(np.log(ranking[target])),
            warnings=(*sample.warnings, *original.notes),
            batch_size=self.forwards.batch_size,
            content_hash=sample.content_hash,
        )
        return columns, rank

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

    def _generator(self, sample: Sample, purpose: int, window: int) -> np.random.Generator:
        place = [purpose, window] if window else [purpose]
        return np.random.default_rng([self._request.seed, sample.entry.index, *place])

    def _maps(self, sample: Sample, original: _OriginalPass, window: int) -> Iterator[ScoredMap]:
        explanation, post_softmax = original.explanation, original.post_softmax
        label_explanation = original.label_explanation
        size = explanation.input_size
        grid = explanation.volumes[self._request.shuffled_method][0].shape
        ties = rank_ties(tie_field(grid, size, self._generator(sample, _TIES, window)))  # one for maps of any grid
        scored = partial(scored_map, ties=ties, measures=self._request.measures)
        for method in self._request.methods:
            volume = explanation.volumes[method][0]
            yield scored(
                method,
                _heat(volume, size),
                post_softmax=_heat_of(post_softmax, method),
                label_map=_heat_of(label_explanation, method),
                time_cells=volume.shape[0],
            )
        for foreign in self._request.maps:
            heat = _heat(foreign.read(sample.entry.index, size), size)
            yield scored(foreign.name, heat, label_map=None if label_explanation is None else heat)
        for name in self._request.controls:
            draw = partial(self._control, name, sample, window=window)
            label_map = None if label_explanation is None else draw(label_explanation)
            cells = grid[0] if name == "random" else size[0]
            yield scored(name, draw(explanation), label_map=label_map, time_cells=cells)

    def _control(self, name: str, sample: Sample, explanation: Explanation, *, window: int) -> Floats:
        """Return a baseline map, (T, H, W) in [0, 1]; `random` is a method's map with its cells shuffled."""
        size = explanation.input_size
        if name == "random":
            volume = explanation.volumes[self._request.shuffled_method][0]
            return _heat(shuffled_cells(volume, self._generator(sample, _CONTROL, window)), size)
        if name == "centre":
            return centre_heat(size).astype(np.float32)  # type: ignore[arg-type]
        if name == "uniform":
            return np.ones(size, np.float32)
        pixels = to_pixels(sample.tensor[None], self._model.spec.scaling)[0].permute(1, 2, 3, 0)
        difference = frame_difference(pixels.round(decimals=3).cpu().numpy())  # scaling left the last digits uneven
        return np.asarray(normalise_per_clip(difference[None].astype(np.float32))[0])


def _rank(ranking: NDArray[np.float64], label_index: int | None) -> int | None:
    """Return the number of classes that are more probable than the label; None without one."""
    return None if label_index is None else int((ranking > ranking[label_index]).sum())


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
