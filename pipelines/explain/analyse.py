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
from vidcam.geometry import Geometry
from vidcam.metrics.faithfulness import log_probability
from vidcam.models.model import Model
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.explain.disk_arrays import DiskArrays
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.explain.view import crops_of
from vidcam.pipelines.forward import torch_errors
from vidcam.pipelines.windows import batches
from vidcam.results.clip_arrays import map_arrays, per_clip_arrays, with_half_maps
from vidcam.results.explanation import MASKED, Explanation
from vidcam.sampling import Window, plan_windows
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress, StageTimer, part_of
from vidcam.system.threads import prefetch
from vidcam.video.images import STILLS
from vidcam.video.reader import VideoReader

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


@dataclass(frozen=True, slots=True, eq=False)
class VideoJob:
    """An open video with its windows and the part to explain.

    Attributes:
        reader: reader of the video.
        windows: windows for the model, in order.
        crops: the crops of each window that the model sees, one or three.
        span_seconds: the explained part, [start, end): the requested part, as far as windows cover it.
    """

    reader: VideoReader
    windows: tuple[Window, ...]
    crops: Crops
    span_seconds: tuple[float, float]

    @property
    def geometry(self) -> Geometry:
        """Mapping from the source frame to all that the model sees."""
        return self.crops.geometry


def video_job(reader: VideoReader, spec: ModelSpec, request: ExplainRequest) -> VideoJob:
    """Plan which windows of a video the model is shown, and which part of the frame.

    Raises:
        InputError: nothing of the video lies in the part that was asked for.
    """
    is_each_a_clip = spec.frames == 1 and reader.info.decoder in STILLS
    start, end = request.start, request.end
    windows = plan_windows(
        reader.info,
        frames=spec.frames,
        fps=None if is_each_a_clip else spec.fps,
        overlap=request.overlap,
        clip_start_seconds=request.at,
        start_seconds=start,
        end_seconds=end,
    )
    span = (
        max(windows[0].start_seconds, 0.0 if start is None else start),
        min(windows[-1].end_seconds, float("inf") if end is None else end),
    )
    return VideoJob(reader, windows, crops_of(spec, request, reader.info.size), span)


def analyse(
    model: Model,
    job: VideoJob,
    request: ExplainRequest,
    *,
    clock: StageTimer,
    progress: Progress,
    disk: DiskArrays | None = None,
) -> tuple[WindowResults, ...]:
    """Explain all windows of a video; returns one result per target.

    Args:
        model: the model.
        job: the video.
        request: methods, targets and measures. Without targets, the leading class of the video is explained.
        clock: measures the time of the stages.
        progress: called after each batch.
        disk: keeps the results in files; None keeps them in memory.
    """
    with torch_errors(model, request.batch_size), Undo() as undo, undo:
        preserve_model(model.module, undo)
        return _Analysis(model, job, request, clock=clock, progress=progress, disk=disk or DiskArrays()).run()


class _Analysis:
    """One analysis of a video."""

    def __init__(
        self,
        model: Model,
        job: VideoJob,
        request: ExplainRequest,
        *,
        clock: StageTimer,
        progress: Progress,
        disk: DiskArrays,
    ) -> None:
        self._model, self._job, self._request = model, job, request
        self._clock, self._progress = clock, progress
        self._maps = replace(request, methods=volume_methods(request.methods))  # guided maps are made while drawing
        self._tables = [_Table(len(job.windows), disk) for _ in request.targets or (None,)]
        self._total = np.zeros(model.spec.classes)  # sum of the windows' probabilities, or values

    def run(self) -> tuple[WindowResults, ...]:
        """Explain every window for every target."""
        count = len(self._job.windows)
        for indices, tensor in self._batches(range(count)):
            report = self._part(EXPLAINING, indices[0], len(indices), count)
            self._explain(indices, tensor, self._request.targets, report)
            self._progress(EXPLAINING, indices[-1] + 1, count)
        if not self._request.targets:
            self._explain_again(int(self._total.argmax()))
        return tuple(table.results() for table in self._tables)

    def _explain_again(self, leader: int) -> None:
        """Explain the windows again that were explained for another class than the final one."""
        missing = np.flatnonzero(self._tables[0].explained != leader).tolist()
        for indices, tensor in self._batches(missing):
            report = self._part(AGAIN, missing.index(indices[0]), len(indices), len(missing))
            self._explain(indices, tensor, (leader,), report)
            self._progress(AGAIN, missing.index(indices[-1]) + 1, len(missing))

    def _part(self, stage: str, done: int, step: int, total: int) -> Progress:
        """Return what reports the maps of a batch that take many forward passes, as parts of the batch."""
        parts = len(self._tables) * sum(name in MASKED for name in self._maps.methods)
        return part_of(self._progress, stage, done, total, step=step, parts=parts)

    def _batches(self, window_indices: Sequence[int]) -> Iterator[tuple[list[int], Tensor]]:
        if not window_indices:
            return
        windows = [self._job.windows[index] for index in window_indices]
        spec, size = self._model.spec, self._request.batch_size
        device = self._model.device
        crops = self._job.crops.parts
        source = batches(self._job.reader, windows, spec, self._job.geometry, crops=crops, size=size, device=device)
        with closing(prefetch(self._clock.timed("decode for the model", source), depth=1)) as ready:
            for positions, tensor in ready:
                yield [window_indices[position] for position in positions], tensor

    def _explain(
        self, indices: Sequence[int], tensor: Tensor, targets: Sequence[int | ScoreFunction | None], progress: Progress
    ) -> None:
        crops = self._job.crops
        with self._clock.stage("model and maps"), Undo() as undo, undo:
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
