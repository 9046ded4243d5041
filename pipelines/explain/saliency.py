"""Guided maps of a video: guided backpropagation at the model's input, times the map that leads it there.

One window's saliency is as large as the window, so that those of a whole video are not kept: they are worked out again
while the video is drawn, window after window, and forgotten where the video has passed. One grey-centred scale serves
the whole video; it is taken from a few windows spread over it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.guided import guided_saliency
from vidcam.models.model import Model
from vidcam.pipelines.explain.analyse import VideoJob
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.forward import torch_errors
from vidcam.pipelines.windows import batches
from vidcam.render.signed import guided_on_source, guided_scale
from vidcam.results.explanation import GUIDED
from vidcam.results.timeline import Timeline
from vidcam.results.video import VideoExplanation
from vidcam.system.progress import StageTimer
from vidcam.system.threads import prefetch

SCALE_WINDOWS = 8
"""Windows from which the scale is taken."""

Saliency = NDArray[np.float32]


@dataclass(slots=True)
class GuidedVideo:
    """Guided values of a video at one moment after another, in the order of time.

    Attributes:
        model: the network.
        job: the video as it is shown to the network.
        request: what was asked.
        video: the maps of all windows.
        clock: takes the time of the passes.
    """

    model: Model
    job: VideoJob
    request: ExplainRequest
    explanation: VideoExplanation
    clock: StageTimer
    _ahead: Generator[tuple[int, Saliency], None, None] | None = None
    _kept: dict[int, Saliency] = field(default_factory=dict)  # window → (targets, T, H, W, 3)
    _scales: dict[tuple[str, int], float] = field(default_factory=dict)

    def close(self) -> None:
        """Let go of the decoder."""
        if self._ahead is not None:
            self._ahead.close()
        self._kept.clear()

    def values(self, method: str, second: float, *, target: int) -> Saliency:
        """Signed values on the source's pixels inside the view, (H', W', 3); moments must not go backwards.

        Args:
            method: a guided one.
            second: of the displayed frame.
            target: position of the target.
        """
        plane = self._saliency(second)[target].transpose(2, 0, 1)  # (3, H, W)
        heat = self.explanation.source_heat(GUIDED[method], second, target=target)
        signed: Saliency = (guided_on_source(plane, self.explanation.geometry) * heat[..., None]).astype(
            np.float32, copy=False
        )
        return signed

    def scale(self, method: str, *, target: int) -> float:
        """The magnitude that is drawn as black or white: the 99.5th percentile over a few windows of the video."""
        if not self._scales:
            self._measure()
        return self._scales[method, target]

    def _measure(self) -> None:
        count = len(self.job.windows)
        chosen = np.unique(np.linspace(0, count - 1, min(count, SCALE_WINDOWS)).round().astype(int)).tolist()
        samples: dict[tuple[str, int], list[Saliency]] = {}
        for index, saliency in self._passes(chosen):
            for method in self.request.guided:
                for target, values in enumerate(saliency):
                    moments = self.explanation.timeline.frame_seconds[index]
                    heat = self.explanation.heat(GUIDED[method], moments, target=target)
                    samples.setdefault((method, target), []).append(values * heat[..., None])
        self._scales = {key: guided_scale(np.stack(found)) for key, found in samples.items()}

    def _saliency(self, second: float) -> Saliency:
        """The windows' saliency at one moment, blended as their maps are, (targets, H, W, 3)."""
        line = self.explanation.timeline
        if self._ahead is None:
            self._ahead = self._passes(range(len(line)))
        self._kept = {index: kept for index, kept in self._kept.items() if line.ends[index] > second}
        wanted = [int(i) for i in np.flatnonzero((line.starts <= second) & (line.ends > second))]
        while any(index not in self._kept for index in wanted):
            index, saliency = next(self._ahead)
            if line.ends[index] > second:
                self._kept[index] = saliency
        part = Timeline(line.starts[wanted], line.ends[wanted], line.frame_seconds[wanted])
        return np.stack([self._blended(part, wanted, second, t) for t in range(len(self.explanation.labels))])

    def _blended(self, part: Timeline, windows: Sequence[int], second: float, target: int) -> Saliency:
        stack = np.stack([self._kept[index][target] for index in windows])  # (n, T, H, W, 3)
        blended = part.blend(stack.reshape(*stack.shape[:3], -1), np.array([second]))[0]
        return np.asarray(blended.reshape(stack.shape[2:]), np.float32)

    def _passes(self, chosen: Sequence[int]) -> Generator[tuple[int, Saliency], None, None]:
        windows = [self.job.windows[index] for index in chosen]
        spec, size = self.model.spec, self.request.batch_size
        source = batches(self.job.reader, windows, spec, self.job.geometry, size=size)
        with closing(prefetch(source, depth=1)) as ready:
            for positions, tensor in ready:
                with self.clock.stage("guided"), torch_errors(self.model, len(positions)):
                    found = self._guided(tensor.to(self.model.device), [chosen[position] for position in positions])
                for position, saliency in zip(positions, found, strict=True):
                    yield chosen[position], saliency

    def _guided(self, tensor: Tensor, windows: Sequence[int]) -> Saliency:
        """(n, targets, T, H, W, 3), red first, whatever the model's order of channels."""
        module, request = self.model.module, self.request
        each = [
            guided_saliency(module, tensor, explanation.target[list(windows)].tolist(), request)
            for explanation in self.explanation.explanations
        ]
        values = np.moveaxis(np.stack(each, axis=1), 2, -1)
        return np.asarray(values[..., ::-1] if self.model.spec.scaling.channels == "bgr" else values, np.float32)
