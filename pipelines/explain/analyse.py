"""First pass over a video: decode, run the model, collect the raw maps.

Without targets, the class with the highest mean probability over all windows is explained. It is known only at the end.
Until then, each batch is explained for the class that leads so far. Windows that were explained for another class are
run again at the end; this is exact, and rarely more than the first batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.attribution import open_attribution
from vidcam.cam.methods import volume_methods
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.request import ScoreFunction
from vidcam.cam.weights import to_numpy
from vidcam.metrics.faithfulness import log_probability
from vidcam.pipelines.explain.disk_arrays import DiskArrays
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.forward import torch_errors
from vidcam.results.clip_arrays import map_arrays, per_clip_arrays, with_half_maps
from vidcam.results.explanation import MASKED, Explanation
from vidcam.system.progress import Progress, part_of
from vidcam.system.threads import prefetch

EXPLAINING = "explaining windows"
AGAIN = "explaining windows again"
"""Names of this pass in the progress display."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowResults:
    """The maps of all windows for one target.

    Attributes:
        explanation: the maps of N windows.
        log_original: (N,) log probability of the target, also of a caption or word; NaN if the model returns values.
    """

    explanation: Explanation
    log_original: NDArray[np.float64]


def analyse(job: VideoJob, disk: DiskArrays | None = None) -> tuple[WindowResults, ...]:
    """Explain all windows of a video; returns one result per target.

    Args:
        job: the video. Without targets in its request, the leading class of the video is explained.
        disk: keeps the results in files; None keeps them in memory.
    """
    with torch_errors(job.model, job.request.batch_size), Undo() as undo, undo:
        preserve_model(job.model.module, undo)
        return _Analysis(job, disk or DiskArrays()).run()


class _Analysis:
    """One analysis of a video."""

    def __init__(self, job: VideoJob, disk: DiskArrays) -> None:
        self._job, self._model, self._request = job, job.model, job.request
        methods = volume_methods(job.request.methods)  # guided maps are made while drawing
        self._maps = replace(job.request, methods=methods)
        self._tables = [_Table(len(job.windows), disk) for _ in job.request.targets or (None,)]
        self._total = np.zeros(job.model.spec.classes)  # sum of the windows' probabilities, or values

    def run(self) -> tuple[WindowResults, ...]:
        """Explain every window for every target."""
        count = len(self._job.windows)
        for indices, tensor in self._batches(range(count)):
            report = self._part(EXPLAINING, indices[0], len(indices), count)
            self._explain(indices, tensor, self._request.targets, report)
            self._job.progress(EXPLAINING, indices[-1] + 1, count)
        if not self._request.targets:
            self._explain_again(int(self._total.argmax()))
        return tuple(table.results() for table in self._tables)

    def _explain_again(self, leader: int) -> None:
        """Explain the windows again that were explained for another class than the final one."""
        missing = np.flatnonzero(self._tables[0].explained != leader).tolist()
        for indices, tensor in self._batches(missing):
            report = self._part(AGAIN, missing.index(indices[0]), len(indices), len(missing))
            self._explain(indices, tensor, (leader,), report)
            self._job.progress(AGAIN, missing.index(indices[-1]) + 1, len(missing))

    def _part(self, stage: str, done: int, step: int, total: int) -> Progress:
        """Return what reports the maps of a batch that take many forward passes, as parts of the batch."""
        parts = len(self._tables) * sum(name in MASKED for name in self._maps.methods)
        return part_of(self._job.progress, stage, done, total, step=step, parts=parts)

    def _batches(self, window_indices: Sequence[int]) -> Iterator[tuple[list[int], Tensor]]:
        if not window_indices:
            return
        source = self._job.batches([self._job.windows[index] for index in window_indices])
        with closing(prefetch(self._job.clock.timed("decode for the model", source), depth=1)) as ready:
            for positions, tensor in ready:
                yield [window_indices[position] for position in positions], tensor

    def _explain(
        self, indices: Sequence[int], tensor: Tensor, targets: Sequence[int | ScoreFunction | None], progress: Progress
    ) -> None:
        crops = self._job.crops
        with self._job.clock.stage("model and maps"), Undo() as undo, undo:
            maps = replace(self._maps, progress=progress)
            run = open_attribution(self._model.module, self._model.input_of(tensor), maps, undo)
            self._total += run.ranking().sum(dim=0).cpu().numpy()
            top = crops.logits(to_numpy(run.logits), run.activation).argmax(axis=1).repeat(len(crops)).tolist()
            classes = [top if target is None else target for target in targets]
            explanations = run.explain_each(classes or (int(self._total.argmax()),))
            captions = classes if self._request.caption else []
            scores = [run.score_target(each, maps).values for each in captions]
            logs = [crops.mean_log(to_numpy(score).astype(np.float64)) for score in scores]
        for number, (table, explanation) in enumerate(zip(self._tables, explanations, strict=True)):
            merged = crops.merge(explanation)
            logits = torch.from_numpy(merged.logits)
            log_probabilities = logs[number] if logs else log_probability(logits, merged.target, merged.activation)
            table.put(indices, WindowResults(with_half_maps(merged), log_probabilities))


class _Table:
    """The results of one target, in arrays that are allocated once for all windows.

    Many small arrays, one per batch, would fragment the memory: measured at 75 MB per minute of video.
    """

    def __init__(self, windows: int, disk: DiskArrays) -> None:
        self._disk = disk
        self.explained = np.full(windows, -1)
        self._whole: WindowResults | None = None
        self._exact: set[bool | None] = set()

    def put(self, indices: Sequence[int], part: WindowResults) -> None:
        """Store the results of some windows; replaces earlier ones."""
        if self._whole is None:
            count = self.explained.size
            self._whole = _mapped(part, lambda array: self._disk.empty((count, *array.shape[1:]), array.dtype))
        for whole, batch in zip(_arrays(self._whole), _arrays(part), strict=True):
            whole[indices] = batch
        self._disk.release_memory()
        self.explained[indices] = part.explanation.target
        self._exact.add(part.explanation.alpha_exact)

    def results(self) -> WindowResults:
        """Return the results of all windows; `alpha_exact` is True only if it is for every batch."""
        assert self._whole is not None, "a video has at least one window"
        exact = False if False in self._exact else None if None in self._exact else True
        return replace(self._whole, explanation=replace(self._whole.explanation, alpha_exact=exact))


def _arrays(results: WindowResults) -> tuple[NDArray[Any], ...]:
    return (*per_clip_arrays(results.explanation), results.log_original)


def _mapped(results: WindowResults, function: Callable[[NDArray[Any]], NDArray[Any]]) -> WindowResults:
    return WindowResults(
        explanation=map_arrays(results.explanation, function),
        log_original=function(results.log_original),
    )
