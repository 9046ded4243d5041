"""First pass over a film: decode, run the model, keep the raw maps, measure their faithfulness.

What the film shows is known only at its end: the class of the highest mean probability over all windows. Until then
each batch is explained for the class that leads so far; windows that were explained for another class than the final
one are run again. That is exact, and rarely more than the first batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.audit import Sink, find_sink
from vidcam.cam.conduct import untouched
from vidcam.cam.explain import attribution, class_scores, require_finite
from vidcam.errors import InputError, RunError
from vidcam.explanation import Explanation, concatenate, select
from vidcam.fill import Fill
from vidcam.geometry import Geometry
from vidcam.metrics.probability import log_probability
from vidcam.models.model import Model
from vidcam.pipelines.stages import Clock, prefetch
from vidcam.pipelines.windows import batches
from vidcam.preprocess import fill_for, grey_input, hide
from vidcam.progress import Progress
from vidcam.sampling import Window
from vidcam.video.reader import VideoReader

LogProbabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model about a film.

    Attributes:
        methods: canonical names.
        targets: class indices; empty for the class that leads over the film.
        foil: class to contrast with, or None.
        layer: dotted name.
        fill: what hidden pixels become when faithfulness is measured.
        batch_size: windows that the model is shown at once.
    """

    methods: tuple[str, ...]
    targets: tuple[int, ...]
    foil: int | None
    layer: str
    fill: Fill
    batch_size: int


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Maps of all windows for one target, and what is left of its probability when only they are shown.

    Attributes:
        explanation: of N windows.
        log_original: (N,) log probability of the target.
        log_masked: method → (N,) log probability of the target on E = L∘I.
        area: method → (N,) mean of the heat.
    """

    explanation: Explanation
    log_original: LogProbabilities
    log_masked: Mapping[str, LogProbabilities]
    area: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """An open film and how it is shown to the model."""

    reader: VideoReader
    windows: tuple[Window, ...]
    geometry: Geometry


def analyse(
    model: Model, footage: Footage, question: Question, *, clock: Clock, progress: Progress
) -> tuple[Answer, ...]:
    """One answer for each target, in order; without targets, one for the class that leads over the film."""
    try:
        with untouched(model.module):
            return _Analysis(model, footage, question, clock, progress).run()
    except RuntimeError as exc:  # torch's own, out of memory among them
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise RunError(
            f"model {model.spec.name!r} failed on a batch of {question.batch_size} windows ({reason}); if memory ran "
            f"out, pass a smaller --batch-size"
        ) from exc


def grey_sink(model: Model, layer: str) -> Sink | None:
    """The layer's cells that are loud on a flat grey clip; one forward pass, which also tries the model out.

    Raises:
        InputError: the layer carries no map, or the model does not return as many scores as it has labels.
    """
    with attribution(model.module, grey_input(model.spec).to(model.device), layer=layer) as run:
        classes = run.logits.shape[1]
        if classes != model.spec.classes:
            raise InputError(
                f"model {model.spec.name!r} returns {classes} scores, expected {model.spec.classes} as its spec says; "
                f"correct the spec's classes and labels"
            )
        return find_sink(run.activations)


class _Analysis:
    """One run over a film's windows; answers are filed under the class that they explain."""

    def __init__(self, model: Model, footage: Footage, question: Question, clock: Clock, progress: Progress) -> None:
        self._model, self._footage, self._question = model, footage, question
        self._clock, self._progress = clock, progress
        self._filed: dict[int, list[tuple[Sequence[int], Answer]]] = {}
        self._total = np.zeros(model.spec.classes)  # of the windows' probabilities

    def run(self) -> tuple[Answer, ...]:
        """Explain every window for every target."""
        everything = range(len(self._footage.windows))
        for indices, tensor in self._batches(everything):
            self._explain(indices, tensor, self._question.targets)
            self._progress("explaining windows", indices[-1] + 1, len(everything))
        targets = self._question.targets or (int(self._total.argmax()),)  # before any window is run again
        for target in targets:
            self._complete(target, everything)
        return tuple(_join(self._filed[target]) for target in targets)

    def _complete(self, target: int, everything: Sequence[int]) -> None:
        done = {index for indices, _ in self._filed.get(target, ()) for index in indices}
        missing = [index for index in everything if index not in done]
        for indices, tensor in self._batches(missing):
            self._explain(indices, tensor, (target,))
            self._progress("explaining windows again", missing.index(indices[-1]) + 1, len(missing))

    def _batches(self, chosen: Sequence[int]) -> Iterator[tuple[list[int], Tensor]]:
        if not chosen:
            return
        windows = [self._footage.windows[index] for index in chosen]
        spec, size = self._model.spec, self._question.batch_size
        source = batches(self._footage.reader, windows, spec, self._footage.geometry, size=size)
        with closing(prefetch(self._clock.timed("decode for the model", source), depth=1)) as ready:
            for positions, tensor in ready:
                yield [chosen[position] for position in positions], tensor.to(self._model.device)

    def _explain(self, indices: Sequence[int], tensor: Tensor, targets: Sequence[int]) -> None:
        question, module = self._question, self._model.module
        with self._clock.stage("model and maps"), attribution(module, tensor, layer=question.layer) as run:
            self._total += run.logits.double().softmax(dim=1).sum(dim=0).cpu().numpy()
            explained = [
                run.explain(target, foil=question.foil, methods=question.methods)
                for target in targets or (int(self._total.argmax()),)
            ]
        for explanation in explained:
            with self._clock.stage("faithfulness"):
                answer = _measure(self._model, tensor, explanation, question.fill)
            self._filed.setdefault(int(explanation.target[0]), []).append((indices, answer))


def _measure(model: Model, tensor: Tensor, explanation: Explanation, fill: Fill) -> Answer:
    hidden = fill_for(tensor, fill, model.spec.scaling)
    masked, area = {}, {}
    for method in explanation.methods:
        heat = explanation.heat(method)
        shown = hide(tensor, torch.from_numpy(heat).to(tensor), hidden)
        scores = class_scores(model.module(shown))
        require_finite(scores, f"the logits of the clip masked by {method}")
        masked[method] = log_probability(scores, explanation.target)
        area[method] = heat.mean(axis=(1, 2, 3), dtype=np.float64)
    original = log_probability(torch.from_numpy(explanation.logits), explanation.target)
    return Answer(explanation, original, masked, area)


def _join(parts: Sequence[tuple[Sequence[int], Answer]]) -> Answer:
    order = np.argsort(np.concatenate([np.asarray(indices) for indices, _ in parts]))
    answers = [answer for _, answer in parts]
    methods = answers[0].explanation.methods
    return Answer(
        explanation=select(concatenate([answer.explanation for answer in answers]), order.tolist()),
        log_original=np.concatenate([answer.log_original for answer in answers])[order],
        log_masked={m: np.concatenate([answer.log_masked[m] for answer in answers])[order] for m in methods},
        area={m: np.concatenate([answer.area[m] for answer in answers])[order] for m in methods},
    )
