"""Measure the maps of a video on a few of its windows.

The model sees such a window again: with parts hidden by each map and by the controls (`pipelines.verdict.versions`),
mirrored, and with its frames frozen. In the first measured window the frames are also shuffled and reversed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice

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
from vidcam.metrics.agreement import correlation
from vidcam.metrics.faithfulness import log_probability
from vidcam.metrics.time_audit import CHANGES, Change
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import VideoJob, WindowResults
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.explain.versions import ShownWindow, masked_versions, reordered_versions
from vidcam.pipelines.forward import torch_errors
from vidcam.pipelines.verdict.passes import CHEAP
from vidcam.pipelines.verdict.versions import Key
from vidcam.pipelines.windows import batches
from vidcam.preprocess import mirror_frames
from vidcam.results.explanation import Explanation
from vidcam.sampling import Window
from vidcam.system.progress import Progress, StageTimer

CHECKING = "checking maps"
"""Name of this pass in the progress display."""

_TOUCHING = 0.02  # share of a window by which rounded time stamps may overlap


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of the maps of one target in one window.

    Attributes:
        log_original: log probability of the target.
        logs: key of a changed version → log probability of the target.
        mirror: method → correlation with the map of the mirrored window, mirrored back; None if a map is constant. Dear
            maps are not made again.
        class_change: method → 1 - correlation with the map of the runner-up class; empty without a runner-up.
    """

    log_original: float
    logs: Mapping[Key, float]
    mirror: Mapping[str, float | None]
    class_change: Mapping[str, float | None]


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


def window_budget(forwards: int, *, crops: int, targets: int, methods: int, has_time: bool) -> int:
    """Return how many windows a budget of forward passes can measure: at least one if it is not 0."""
    shared = 5 if has_time else 3  # centre, another place, mirrored; frame difference, frozen frames
    a_window = crops * (targets * (2 * methods + 1) + shared)  # each target has shuffled cells of its own
    order = 2 * crops * has_time  # shuffled and reversed frames, once
    return max(min(forwards, 1), (forwards - order) // a_window)


def measure(
    model: Model,
    job: VideoJob,
    request: ExplainRequest,
    results: Sequence[WindowResults],
    *,
    clock: StageTimer,
    progress: Progress,
) -> list[tuple[Measured, ...]]:
    """Measure the maps of all targets on a few windows.

    Args:
        model: the model; it has probabilities.
        job: the video.
        request: methods and budget.
        results: the maps of all windows, one for each target.
        clock: measures the time of the stages.
        progress: called after each window.

    Returns:
        For each measured window one result for each target; empty if the budget is 0.
    """
    has_time = model.spec.frames > 1
    most = window_budget(
        request.verdict_forwards,
        crops=len(job.crops),
        targets=len(results),
        methods=len(results[0].explanation.methods),
        has_time=has_time,
    )
    chosen = measured_windows(job.windows, most)
    windows, device = [job.windows[index] for index in chosen], model.device
    with torch_errors(model, request.batch_size), Undo() as undo, undo:
        preserve_model(model.module, undo)
        measuring, measured = _Measuring(model, request, results), list[tuple[Measured, ...]]()
        source = batches(job.reader, windows, model.spec, job.geometry, crops=job.crops.parts, size=1, device=device)
        with closing(clock.timed("decode for the model", source)) as decoded:
            for index, (_, clips) in zip(chosen, decoded, strict=True):
                shown = ShownWindow(index, clips, job.crops, model.spec.scaling)
                changes = () if not has_time else CHANGES[:1] if measured else CHANGES
                with clock.stage("verdict"):
                    measured.append(measuring.window(shown, changes))
                progress(CHECKING, len(measured), len(chosen))
    return measured


class _Measuring:
    """Measures windows one by one."""

    def __init__(self, model: Model, request: ExplainRequest, results: Sequence[WindowResults]) -> None:
        self._model, self._request, self._results = model, request, results
        self._explanations = [result.explanation for result in results]
        cheap = tuple(name for name in volume_methods(request.methods) if name in CHEAP)
        self._maps = replace(request, methods=cheap or DEFAULT_METHODS)

    def window(self, window: ShownWindow, changes: Sequence[Change]) -> tuple[Measured, ...]:
        """Measure one window; returns a result for each target."""
        mirrored, runner_up = self._mirrored(window)
        logs = self._logs(window, changes, list(map(partial(_layer_map, window.index), self._explanations, mirrored)))
        measured = []
        for number, explanation in enumerate(self._explanations):
            own = mirrored[number].volumes
            maps = {method: volume[[window.index]] for method, volume in explanation.volumes.items()}
            other = runner_up[number].volumes if runner_up else {}
            measured.append(
                Measured(
                    log_original=float(self._results[number].log_original[window.index]),
                    logs=logs[number],
                    mirror={name: correlation([(maps[name], own[name][..., ::-1])]) for name in maps if name in own},
                    class_change={name: _change(own[name], other[name]) for name in other if name in maps},
                )
            )
        return tuple(measured)

    def _logs(
        self, window: ShownWindow, changes: Sequence[Change], layer_maps: Sequence[Floats]
    ) -> list[dict[Key, float]]:
        """Return for each target the log probabilities of the changed versions of a window."""
        model, keys = self._model, list[tuple[int | None, Key]]()

        def clips() -> Iterator[Tensor]:
            masked = masked_versions(window, self._explanations, layer_maps)
            for number, key, version in chain(masked, reordered_versions(window, changes)):
                keys.append((number, key))
                yield from version

        remaining, scores = clips(), list[Tensor]()
        while chunk := list(islice(remaining, self._request.batch_size)):
            shown = model.input_of(torch.stack(chunk))
            scores.append(predicted(model.module, shown, classes=model.spec.classes).logits)
        logits = torch.cat(scores)
        require_finite(logits, "the logits of a changed window")
        logs = []
        for number, explanation in enumerate(self._explanations):
            target = np.repeat(explanation.target[window.index], len(logits))
            each = window.crops.mean_log(log_probability(logits, target, explanation.activation))
            logs.append({key: float(log) for (of, key), log in zip(keys, each, strict=True) if of in (None, number)})
        return logs

    def _mirrored(self, window: ShownWindow) -> tuple[list[Explanation], list[Explanation]]:
        """Explain the mirrored window for each target, and for each runner-up class if there is one.

        A target that is the window's top class becomes the top class of the mirrored window: a motion to the left
        becomes one to the right. All maps come from one forward pass.
        """
        crops = window.crops
        clips = mirror_frames(window.clips, window.scaling)
        if crops.parts[0].left_px != crops.parts[-1].left_px:
            clips = clips.flip(0)  # the crops lie side by side: the last one becomes the first
        with Undo() as undo, undo:
            run = open_attribution(self._model.module, self._model.input_of(clips), self._maps, undo)
            (scores,) = crops.logits(to_numpy(run.logits), run.activation)
            targets = [self._mirrored_target(each, window.index, scores) for each in self._explanations]
            others = list[int]()
            if scores.size > 1 and self._request.contrast is None:
                first, second = np.argsort(-scores, kind="stable")[:2].tolist()
                others = [second if target == first else first for target in targets]
            merged = [crops.merge(each) for each in run.explain_each([*targets, *others])]
        return merged[: len(targets)], merged[len(targets) :]

    def _mirrored_target(self, explanation: Explanation, index: int, scores: NDArray[np.float64]) -> int:
        target = int(explanation.target[index])
        is_top = self._request.contrast is None and int(explanation.logits[index].argmax()) == target
        return int(scores.argmax()) if is_top else target


def _layer_map(index: int, explanation: Explanation, mirrored: Explanation) -> Floats:
    """Return a map of one window on the layer's grid, (1, t, h, w); without one, that of the mirrored window."""
    own = next(iter(explanation.layer_volumes.values()), None)
    return next(iter(mirrored.volumes.values()))[..., ::-1] if own is None else own[[index]]


def _change(own: Floats, other: Floats) -> float | None:
    """Return 1 - r of two maps; None if one is constant."""
    r = correlation([(own, other)])
    return None if r is None else 1.0 - r
