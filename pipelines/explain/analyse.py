"""First pass over a film: decode, run the model, keep the raw maps, measure their faithfulness.

What the film shows is known only at its end: the class of the highest mean probability over all windows. Until then
each batch is explained for the class that leads so far; windows that were explained for another class than the final
one are run again. That is exact, and rarely more than the first batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.ask import Ask
from vidcam.cam.attribution import Attribution, attribution
from vidcam.cam.choice import chosen_layers
from vidcam.cam.conduct import untouched
from vidcam.cam.fusion import Fusion
from vidcam.cam.layers import dotted_name
from vidcam.cam.outputs import predicted, require_finite
from vidcam.errors import RunError
from vidcam.fill import Fill
from vidcam.geometry import Geometry
from vidcam.metrics.probability import log_probability
from vidcam.models.model import Model
from vidcam.pipelines.explain.spill import Spill
from vidcam.pipelines.layout import reshape_of
from vidcam.pipelines.windows import batches
from vidcam.preprocess import fill_for, grey_input, hide
from vidcam.results.explanation import GUIDED, Explanation, mapped, per_clip_arrays
from vidcam.sampling import Window
from vidcam.system.progress import Progress, StageTimer
from vidcam.system.threads import prefetch
from vidcam.video.reader import VideoReader

EXPLAINING = "explaining windows"
"""The first pass, where progress is told."""

LogProbabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model about a film.

    Attributes:
        methods: canonical names, as asked.
        targets: class indices, None for each window's own top class; empty for the class that leads over the film.
        ask: volumes to make, foil and kind of score.
        layers: dotted names; several are fused.
        fusion: how.
        fill: what hidden pixels become when faithfulness is measured.
        batch_size: windows that the model is shown at once.
        references: layer → A₀ of a flat grey clip, for the neutral methods.
    """

    methods: tuple[str, ...]
    targets: tuple[int | None, ...]
    ask: Ask
    layers: tuple[str, ...]
    fusion: Fusion
    fill: Fill
    batch_size: int
    references: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def guided(self) -> tuple[str, ...]:
        """The guided ones among the methods."""
        return tuple(method for method in self.methods if method in GUIDED)


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
    question: Question,
    *,
    clock: StageTimer,
    progress: Progress,
    spill: Spill | None = None,
) -> tuple[Answer, ...]:
    """One answer for each target, in order; without targets, one for the class that leads over the film.

    Args:
        model: whose answers they are.
        footage: the film.
        question: what is asked.
        clock: takes the stages' times.
        progress: told of every batch.
        spill: where the answers lie; in memory by default.
    """
    with torch_errors(model, question.batch_size), untouched(model.module):
        return _Analysis(model, footage, question, clock=clock, progress=progress, spill=spill or Spill()).run()


def target_layers(model: Model, names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The layers that were asked for, else the model's own default, else the last that has an extent; dotted.

    Returns:
        The names, and a sentence where the layer was chosen here.
    """
    chosen = names or ((model.spec.layer,) if model.spec.layer else ())
    if chosen:
        return tuple(dict.fromkeys(dotted_name(name) for name in chosen)), ""
    with torch_errors(model, 1):
        layers, (note,) = chosen_layers(
            model.module, grey_input(model.spec).to(model.device), None, reshape_of(model.spec)
        )
    return layers, note


def watched(
    model: Model,
    tensor: Tensor,
    layers: Sequence[str],
    fusion: Fusion = "mean",
    references: Mapping[str, Tensor] | None = None,
) -> AbstractContextManager[Attribution]:
    """An open forward pass, looked at as the model's spec says."""
    return attribution(
        model.module,
        tensor,
        layer=layers,
        reshape=reshape_of(model.spec),
        fusion=fusion,
        activation=model.spec.activation,
        references=references,
    )


@contextmanager
def torch_errors(model: Model, batch: int) -> Iterator[None]:
    """Torch's own errors, out of memory among them, as one of ours."""
    try:
        yield
    except RuntimeError as exc:
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0].strip()
        raise RunError(
            f"model {model.spec.name!r} failed on a batch of {batch} ({reason}); if memory ran out, pass a smaller "
            f"--batch-size, else try the model on a tensor of {(batch, 3, *model.spec.input_size)}"
        ) from exc


class _Analysis:
    """One run over a film's windows."""

    def __init__(
        self, model: Model, footage: Footage, question: Question, *, clock: StageTimer, progress: Progress, spill: Spill
    ) -> None:
        self._model, self._footage, self._question = model, footage, question
        self._clock, self._progress = clock, progress
        self._tables = [_Table(len(footage.windows), spill) for _ in question.targets or (None,)]
        self._total = np.zeros(model.spec.classes)  # of the windows' probabilities

    def run(self) -> tuple[Answer, ...]:
        """Explain every window for every target."""
        count = len(self._footage.windows)
        for indices, tensor in self._batches(range(count)):
            self._explain(indices, tensor, self._question.targets)
            self._progress(EXPLAINING, indices[-1] + 1, count)
        if not self._question.targets:
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
        spec, size = self._model.spec, self._question.batch_size
        source = batches(self._footage.reader, windows, spec, self._footage.geometry, size=size)
        with closing(prefetch(self._clock.timed("decode for the model", source), depth=1)) as ready:
            for positions, tensor in ready:
                yield [chosen[position] for position in positions], tensor.to(self._model.device)

    def _explain(self, indices: Sequence[int], tensor: Tensor, targets: Sequence[int | None]) -> None:
        question = self._question
        shown = watched(self._model, tensor, question.layers, question.fusion, question.references)
        with self._clock.stage("model and maps"), shown as run:
            self._total += run.probabilities().sum(dim=0).cpu().numpy()
            explained = run.explain_each(targets or (int(self._total.argmax()),), question.ask)
        for table, explanation in zip(self._tables, explained, strict=True):
            with self._clock.stage("faithfulness"):
                table.put(indices, _measure(self._model, tensor, explanation, question.fill))


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
