"""Measure the maps of a video on a few of its windows.

The model sees such a window again: with parts hidden by each map and by the controls (`pipelines.verdict.versions`),
with its frames frozen and, but for captions, mirrored. In the first measured window the frames are also shuffled and
reversed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.attribution import open_attribution
from vidcam.cam.methods import DEFAULT_METHODS, volume_methods
from vidcam.cam.network import predicted, require_finite
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.weights import to_numpy
from vidcam.maps import Floats
from vidcam.metrics.faithfulness import log_probability
from vidcam.metrics.time_audit import CHANGES, Change
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import WindowResults
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.explain.request import VERDICT_FORWARDS, ExplainRequest
from vidcam.pipelines.explain.versions import ShownWindow, masked_versions, reordered_versions
from vidcam.pipelines.forward import torch_errors
from vidcam.pipelines.verdict.passes import (
    CHEAP,
    class_changes,
    layer_maps,
    mirror_correlations,
    mirror_target,
    runner_up,
)
from vidcam.pipelines.verdict.versions import Key
from vidcam.preprocess import mirror_frames
from vidcam.results.clip_arrays import map_arrays
from vidcam.results.explanation import Activation, Explanation
from vidcam.sampling import Window

CHECKING = "checking maps"
"""Name of this pass in the progress display."""

LONG_SECONDS, LONG_SHARE = 30.0, 0.1
"""Of a longer video at most this share of its windows is run again, if the budget is the default."""

_TOUCHING = 0.02  # share of a window by which rounded time stamps may overlap


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of the maps of one target in one window.

    Attributes:
        log_original: log probability of the target; of a caption, the mean over its words.
        logs: key of a changed version → log probability of the target.
        mirror: method → correlation with the map of the mirrored window, mirrored back; None if a map is constant. Dear
            maps are not made again.
        class_change: method → 1 - correlation with the map of the runner-up class; empty without a runner-up.

    `mirror` and `class_change` are empty for captions: a mirrored clip has another one, with left for right.
    """

    log_original: float
    logs: Mapping[Key, float]
    mirror: Mapping[str, float | None]
    class_change: Mapping[str, float | None]


def words_of(caption: str) -> int:
    """Return the number of words of a caption."""
    return len(caption.split())


def measured_windows(windows: Sequence[Window], most: int) -> list[int]:
    """Choose at most `most` windows that do not overlap, evenly spread over the video; returns their indices.

    The last window is also one of them if at least half of it is in no other.
    """
    apart, end = list[int](), -np.inf
    for index, window in enumerate(windows):
        length = window.end_seconds - window.start_seconds
        is_last = index == len(windows) - 1
        if window.start_seconds > end - _TOUCHING * length or (is_last and window.end_seconds - end >= length / 2):
            apart.append(index)
            end = window.end_seconds
    count = min(most, len(apart))
    return [apart[int((number + 0.5) * len(apart) / count)] for number in range(count)]


def clip_budget(job: VideoJob) -> int:
    """Return how many clips of a video may be run again: as requested, or by default few of a long video's windows."""
    if job.request.verdict_forwards is not None:
        return job.request.verdict_forwards
    start, end = job.span_seconds
    clips = len(job.windows) * len(job.crops)
    return VERDICT_FORWARDS if end - start <= LONG_SECONDS else min(VERDICT_FORWARDS, int(LONG_SHARE * clips))


def window_budget(clips: int, *, crops: int, targets: int, methods: int, has_time: bool) -> tuple[int, int]:
    """Return how many windows a budget can measure, and how many versions of a window.

    A budget that is too small for one window leaves out versions; not those of `kept`, `kept_centre` and `mirror`.
    """
    shared = 5 if has_time else 3  # centre, another place, mirrored; frame difference, frozen frames
    versions = targets * (2 * methods + 1) + shared  # each target has shuffled cells of its own
    order = 2 * has_time  # shuffled and reversed frames, once
    windows = (clips // crops - order) // versions
    return (windows, versions + order) if windows > 0 else (1, max(clips // crops, targets * methods + 2))


def measure(job: VideoJob, results: Sequence[WindowResults]) -> list[tuple[Measured, ...]]:
    """Measure the maps of all targets on a few windows.

    Args:
        job: the video; its model has probabilities, and its budget is not 0.
        results: the maps of all windows, one for each target.

    Returns:
        For each measured window one result for each target.
    """
    model, has_time = job.model, job.model.spec.frames > 1
    count, versions = window_budget(
        clip_budget(job),
        crops=len(job.crops),
        targets=len(results),
        methods=len(results[0].explanation.methods),
        has_time=has_time,
    )
    chosen = measured_windows(job.windows, count)
    with torch_errors(model, job.request.batch_size), Undo() as undo, undo:
        preserve_model(model.module, undo)
        measuring, measured = _Measuring(model, job.request, results, versions), list[tuple[Measured, ...]]()
        source = job.batches([job.windows[index] for index in chosen], size=1)
        with closing(job.clock.timed("decode for the model", source)) as decoded:
            for index, (_, clips) in zip(chosen, decoded, strict=True):
                shown = ShownWindow(index, clips, job.crops, model.spec.scaling)
                changes = () if not has_time else CHANGES[:1] if measured else CHANGES
                with job.clock.stage("verdict"):
                    measured.append(measuring.window(shown, changes))
                job.progress(CHECKING, len(measured), len(chosen))
    return measured


class _Measuring:
    """Measures windows one by one."""

    def __init__(self, model: Model, request: ExplainRequest, results: Sequence[WindowResults], versions: int) -> None:
        self._model, self._request, self._results, self._versions = model, request, results, versions
        cheap = tuple(name for name in volume_methods(request.methods) if name in CHEAP)
        self._maps = replace(request, methods=cheap or DEFAULT_METHODS)

    def window(self, window: ShownWindow, changes: Sequence[Change]) -> tuple[Measured, ...]:
        """Measure one window; returns a result for each target."""
        explanations = [map_arrays(each.explanation, itemgetter([window.index])) for each in self._results]
        mirrored, others = ([], []) if self._request.caption else self._mirrored(window, explanations)
        logs = self._logs(window, changes, explanations, list(map(layer_maps, explanations, mirrored or explanations)))
        return tuple(
            Measured(
                log_original=float(self._results[number].log_original[window.index]),
                logs=logs[number],
                mirror=mirror_correlations(explanation.volumes, mirrored[number].volumes) if mirrored else {},
                class_change=class_changes(mirrored[number].volumes, others[number].volumes) if others else {},
            )
            for number, explanation in enumerate(explanations)
        )

    def _logs(
        self,
        window: ShownWindow,
        changes: Sequence[Change],
        explanations: Sequence[Explanation],
        maps_of_layer: Sequence[Floats],
    ) -> list[dict[Key, float]]:
        """Return for each target the log probabilities of the changed versions of a window."""
        model, keys = self._model, list[tuple[int | None, Key]]()
        masked = masked_versions(window, explanations, maps_of_layer)
        reordered = reordered_versions(window, changes)
        kept = len(explanations) * len(explanations[0].methods) + 1  # by each map and by the centre
        versions = chain(islice(masked, kept), islice(reordered, 1), masked, reordered)

        is_mirrored = not self._request.caption  # one more version
        stated: Activation | None = "none" if self._request.caption else None

        def clips() -> Iterator[Tensor]:
            for number, key, version in islice(versions, self._versions - is_mirrored):
                keys.append((number, key))
                yield from version

        remaining, scores = clips(), list[Tensor]()
        while chunk := list(islice(remaining, self._request.batch_size)):
            shown = model.input_of(torch.stack(chunk))
            scores.append(predicted(model.module, shown, activation=stated, classes=model.spec.classes).logits)
        logits = torch.cat(scores)
        require_finite(logits, "the logits of a changed window")
        logs = []
        for number, explanation in enumerate(explanations):
            each = self._log_probabilities(window, logits, explanation)
            logs.append({key: float(log) for (of, key), log in zip(keys, each, strict=True) if of in (None, number)})
        return logs

    def _log_probabilities(self, window: ShownWindow, logits: Tensor, explanation: Explanation) -> NDArray[np.float64]:
        """Return the log probability of the target in each version, (V,); of a caption, the mean over its words."""
        if self._request.caption:
            caption = int(explanation.target[0])
            logs = window.crops.mean_log(to_numpy(logits[:, caption]).astype(np.float64))
            return logs / words_of(self._request.caption[caption])
        targets = explanation.target.repeat(len(logits))
        return window.crops.mean_log(log_probability(logits, targets, explanation.activation))

    def _mirrored(
        self, window: ShownWindow, explanations: Sequence[Explanation]
    ) -> tuple[list[Explanation], list[Explanation]]:
        """Explain the mirrored window for each target, and for each runner-up class if there is one.

        All maps come from one forward pass.
        """
        crops = window.crops
        clips = mirror_frames(window.clips, window.scaling)
        if crops.parts[0].left_px != crops.parts[-1].left_px:
            clips = clips.flip(0)  # the crops lie side by side: the last one becomes the first
        with Undo() as undo, undo:
            run = open_attribution(self._model.module, self._model.input_of(clips), self._maps, undo)
            logits = crops.logits(to_numpy(run.logits), run.activation)
            targets = [mirror_target(each, logits) for each in explanations]
            has_others = logits.shape[1] > 1 and self._request.contrast is None
            others = [runner_up(logits, target) for target in targets] if has_others else []
            merged = [
                crops.merge(each) for each in run.explain_each([int(target[0]) for target in (*targets, *others)])
            ]
        return merged[: len(targets)], merged[len(targets) :]
