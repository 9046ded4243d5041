"""Guided maps of a video: guided backpropagation at the model's input, times the map divided by the video's maximum.

The saliency of a window is as large as the window, so it is not stored. It is computed while the video is drawn, window
after window. The whole video has one scale, which is computed from a few windows spread over it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.guided import guided_saliency
from vidcam.pipelines.explain.job import VideoJob
from vidcam.pipelines.forward import torch_errors
from vidcam.render.signed import guided_on_source, guided_scale
from vidcam.results.explanation import GUIDED
from vidcam.results.timeline import Timeline
from vidcam.results.video import VideoExplanation
from vidcam.system.threads import prefetch

SCALE_WINDOWS = 8
"""Number of windows from which the scale is computed."""

Saliency = NDArray[np.float32]


@dataclass(slots=True)
class GuidedVideo:
    """The guided values of a video; they can only be read in the order of time.

    Attributes:
        job: the video with its windows; the values are of its original model.
        explanation: the maps of all windows.
    """

    job: VideoJob
    explanation: VideoExplanation
    _stream: Generator[tuple[int, Saliency], None, None] | None = None
    _cache: dict[int, Saliency] = field(default_factory=dict)  # window → (targets, T, H, W, 3)
    _scales: dict[tuple[str, int], float] = field(default_factory=dict)
    _divided: VideoExplanation | None = None

    def close(self) -> None:
        """Close the decoder."""
        if self._stream is not None:
            self._stream.close()
        self._cache.clear()

    def values(self, method: str, second: float, *, target: int) -> Saliency:
        """Return signed values on the source's pixels inside the model's view, (H', W', 3).

        Args:
            method: a guided method.
            second: time stamp of the frame; it must not be earlier than in the last call.
            target: index of the target.
        """
        plane = self._saliency(second)[target].transpose(2, 0, 1)  # (3, H, W)
        heat = self._from_zero().source_heat(GUIDED[method], second, target=target)
        signed: Saliency = (guided_on_source(plane, self.explanation.geometry) * heat[..., None]).astype(
            np.float32, copy=False
        )
        return signed

    def scale(self, method: str, *, target: int) -> float:
        """Return the magnitude that is drawn as black or white: the 99.5th percentile over a few windows."""
        if not self._scales:
            self._measure()
        return self._scales[method, target]

    def _from_zero(self) -> VideoExplanation:
        """Return the explanation with maps divided by the video's maximum; the minimum is not subtracted."""
        if self._divided is None:
            bounds = {method: (0.0, high) for method, (_, high) in self.explanation.bounds.items()}
            self._divided = replace(self.explanation, bounds=bounds)
        return self._divided

    def _measure(self) -> None:
        count = len(self.job.windows)
        window_indices = np.unique(np.linspace(0, count - 1, min(count, SCALE_WINDOWS)).round().astype(int)).tolist()
        samples: dict[tuple[str, int], list[Saliency]] = {}
        for index, saliency in self._passes(window_indices):
            for method in self.job.request.guided:
                for target, values in enumerate(saliency):
                    moments = self.explanation.timeline.frame_seconds[index]
                    heat = self._from_zero().heat(GUIDED[method], moments, target=target)
                    samples.setdefault((method, target), []).append(values * heat[..., None])
        self._scales = {key: guided_scale(np.stack(values)) for key, values in samples.items()}

    def _saliency(self, second: float) -> Saliency:
        """Return the saliency at one moment, blended over windows like the maps, (targets, H, W, 3)."""
        line = self.explanation.timeline
        if self._stream is None:
            self._stream = self._passes(range(len(line)))
        self._cache = {index: saliency for index, saliency in self._cache.items() if line.ends[index] > second}
        covering = [int(i) for i in np.flatnonzero((line.starts <= second) & (line.ends > second))]
        while any(index not in self._cache for index in covering):
            index, saliency = next(self._stream)
            if line.ends[index] > second:
                self._cache[index] = saliency
        part = Timeline(line.starts[covering], line.ends[covering], line.frame_seconds[covering])
        return np.stack([self._blended(part, covering, second, t) for t in range(len(self.explanation.labels))])

    def _blended(self, part: Timeline, windows: Sequence[int], second: float, target: int) -> Saliency:
        stack = np.stack([self._cache[index][target] for index in windows])  # (n, T, H, W, 3)
        blended = part.blend(stack.reshape(*stack.shape[:3], -1), np.array([second]))[0]
        return np.asarray(blended.reshape(stack.shape[2:]), np.float32)

    def _passes(self, window_indices: Sequence[int]) -> Generator[tuple[int, Saliency], None, None]:
        job = self.job
        source = job.batches([job.windows[index] for index in window_indices])
        with closing(prefetch(source, depth=1)) as ready:
            for positions, tensor in ready:
                with job.clock.stage("guided"), torch_errors(job.ready.original, len(positions)):
                    indices = [window_indices[position] for position in positions]
                    results = self._guided(tensor, indices)
                yield from zip(indices, results, strict=True)

    def _guided(self, tensor: Tensor, windows: Sequence[int]) -> Saliency:
        """Compute the saliency of some windows, (n, targets, T, H, W, 3), channels in the order RGB."""
        model, request = self.job.ready.original, self.job.request
        clips = model.input_of(tensor)
        saliencies = [
            guided_saliency(model.module, clips, explanation.target[list(windows)].tolist(), request)
            for explanation in self.explanation.explanations
        ]
        values = np.moveaxis(np.stack(saliencies, axis=1), 2, -1)
        return np.asarray(values[..., ::-1] if model.spec.scaling.channels == "bgr" else values, np.float32)
