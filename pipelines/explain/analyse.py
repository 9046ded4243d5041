"""First pass over a film: decode, run the model, keep the raw maps, measure their faithfulness.

What the film shows is known only at its end: the class of the highest mean probability over all windows. Until then
each batch is explained for the class that leads so far; windows that were explained for another class than the final
one are run again. That is exact, and rarely more than the first batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.conduct import untouched
from vidcam.cam.methods import volume_methods
from vidcam.cam.outputs import predicted, require_finite
from vidcam.fill import Fill
from vidcam.geometry import Geometry
from vidcam.metrics.faithfulness import log_probability
from vidcam.models.model import Model
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.explain.spill import Spill
from vidcam.pipelines.forward import torch_errors, watched
from vidcam.pipelines.windows import batches
from vidcam.preprocess import fill_for, hide
from vidcam.results.explanation import Explanation, mapped, per_clip_arrays
from vidcam.sampling import Window
from vidcam.system.progress import Progress
from vidcam.system.threads import Clock, prefetch
from vidcam.video.reader import VideoReader

EXPLAINING = "explaining windows"
"""The first pass, where progress is told."""

LogProbabilities = NDArray[np.float64]


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
    """An open film, how it is shown to the model, and which part of it was asked for."""

    reader: VideoReader
    windows: tuple[Window, ...]
    geometry: Geometry
    start_seconds: float = 0.0
    end_seconds: float = float("inf")

    @property
    def span_seconds(self) -> tuple[float, float]:
        """The part of the film that is explained, [start, end): that of the windows, as far as it was asked for."""
        return (
            max(self.windows[0].start_seconds, self.start_seconds),
            min(self.windows[-1].end_seconds, self.end_seconds),
        )


def analyse(
    model: Model,
    footage: Footage,
    request: ExplainRequest,
    *,
    clock: Clock,
    progress: Progress,
    spill: Spill | None = None,
) -> tuple[Answer, ...]:
    """One answer for each target, in order; without targets, one for the class that leads over the film.

    Args:
        model: whose answers they are.
        footage: the film.
        request: what is asked.
        clock: takes the stages' times.
        progress: told of every batch.
        spill: where the answers lie; in memory by default.
    """
    with torch_errors(model, request.batch_size), untouched(model.module):
        return _Analysis(model, footage, request, clock=clock, progress=progress, spill=spill or Spill()).run()


class _Analysis:
    """One run over a film's windows."""

    def __init__(
        self, model: Model, footage: Footage, request: ExplainRequest, *, clock: Clock, progress: Progress, spill: Spill
    ) -> None:
        self._model, self._footage, self._request = model, footage, request
        self._clock, self._progress = clock, progress
        self._maps = replace(request, methods=volume_methods(request.methods))  # guided ones are made while drawing
        self._tables = [_Table(len(footage.windows), spill) for _ in request.targets or (None,)]
        self._total = np.zeros(model.spec.classes)  # of the windows' probabilities

    def run(self) -> tuple[Answer, ...]:
        """Explain every window for every target."""
        count = len(self._footage.windows)
        for indices, tensor in self._batches(range(count)):
            self._explain(indices, tensor, self._request.targets)
            self._progress(EXPLAINING, indices[-1] + 1, count)
        if not self._request.targets:
            self._complete(int(self._total.argmax()))
        return tuple(table.answer() for table in self._tables)

    def _complete(self, leader: int) -> None:
        """Explain the windows again that were explained for another class than the one that leads in the end."""
        missing = np.flatnonzero(self._tables[0].explained != leader).tolist()
        for indices, tensor in self._batches(missing):
            self._explain(indices, tensor, (leader,))
            self._progress("explaining windows again", missing.index(indices[-1]) + 1, len(missing))

    def _batches(self, chosen: Sequence[int]) -> Iterator[tuple[list[int], Tensor]]:
        if not chosen:
            return
        windows = [self._footage.windows[index] for index in chosen]
        spec, size = self._model.spec, self._request.batch_size
        source = batches(self._footage.reader, windows, spec, self._footage.geometry, size=size)
        with closing(prefetch(self._clock.timed("decode for the model", source), depth=1)) as ready:
            for positions, tensor in ready:
                yield [chosen[position] for position in positions], tensor.to(self._model.device)

    def _explain(self, indices: Sequence[int], tensor: Tensor, targets: Sequence[int | None]) -> None:
        request = self._request
        with self._clock.stage("model and maps"), watched(self._model, tensor, self._maps) as run:
            self._total += run.probabilities().sum(dim=0).cpu().numpy()
            explained = run.explain_each(targets or (int(self._total.argmax()),))
        for table, explanation in zip(self._tables, explained, strict=True):
            with self._clock.stage("faithfulness"):
                table.put(indices, _measure(self._model, tensor, explanation, request.fill))


class _Table:
    """Answers window by window, in arrays that are made once for the whole film.

    Small arrays that outlive their batch would come to lie between the large ones that do not, and pin memory: measured
    at 75 MB a minute of film.
    """

    def __init__(self, windows: int, spill: Spill) -> None:
        self._spill = spill
        self.explained = np.full(windows, -1)
        self._whole: Answer | None = None
        self._exact: set[bool | None] = set()

    def put(self, indices: Sequence[int], part: Answer) -> None:
        """File the answers of some windows, in place of former ones."""
        if self._whole is None:
            count = self.explained.size
            self._whole = _mapped(part, lambda array: self._spill.empty((count, *array.shape[1:]), array.dtype))
        for whole, piece in zip(_arrays(self._whole), _arrays(part), strict=True):
            whole[indices] = piece
        self._spill.forget()
        self.explained[indices] = part.explanation.target
        self._exact.add(part.explanation.alpha_exact)

    def answer(self) -> Answer:
        """All windows; `alpha_exact` is the weakest of the batches' answers."""
        assert self._whole is not None, "a film has at least one window"
        exact = False if False in self._exact else None if None in self._exact else True
        return replace(self._whole, explanation=replace(self._whole.explanation, alpha_exact=exact))


def _measure(model: Model, tensor: Tensor, explanation: Explanation, fill: Fill) -> Answer:
    hidden = fill_for(tensor, fill, model.spec.scaling)
    masked, area = {}, {}
    for method in explanation.methods:
        heat = explanation.heat(method)
        scores = predicted(model.module, hide(tensor, torch.from_numpy(heat).to(tensor), hidden))
        require_finite(scores, f"the logits of the clip masked by {method}")
        masked[method] = log_probability(scores, explanation.target, explanation.activation)
        area[method] = heat.mean(axis=(1, 2, 3), dtype=np.float64)
    original = log_probability(torch.from_numpy(explanation.logits), explanation.target, explanation.activation)
    return Answer(explanation, original, masked, area)


def _arrays(answer: Answer) -> tuple[NDArray[Any], ...]:
    own = (answer.log_original, *answer.log_masked.values(), *answer.area.values())
    return (*per_clip_arrays(answer.explanation), *own)


def _mapped(answer: Answer, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Answer:
    return Answer(
        explanation=mapped(answer.explanation, function),
        log_original=function(answer.log_original),
        log_masked={method: function(array) for method, array in answer.log_masked.items()},
        area={method: function(array) for method, array in answer.area.items()},
    )
