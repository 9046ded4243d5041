"""Calls of vidcam outside its public API, in one place."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

import vidcam
from vidcam.cam.guided import guided_saliency
from vidcam.cam.methods import BASELINE_METHODS, METHODS, PAIR_METHODS
from vidcam.cam.reshape import reshape_of
from vidcam.devices import CPU_BATCH
from vidcam.media import Frames
from vidcam.models.model import Model, Precision
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.forward import prepare
from vidcam.pipelines.render.videos import stream_frames
from vidcam.pipelines.windows import window_tensors
from vidcam.preprocess import grey_input
from vidcam.results.explanation import Explanation
from vidcam.sampling import plan_windows
from vidcam.system.progress import StageTimer, silent
from vidcam.video.reader import open_video
from vidcam.video.writer import VideoWriter

__all__ = ["BASELINE_METHODS", "METHODS", "PAIR_METHODS", "Precision", "grey_input", "guided_saliency"]

BATCH = CPU_BATCH
"""Windows of one forward pass on a CPU."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One window of a video.

    Attributes:
        clip: the model's input, (1, 3, T, H, W).
        frames: the region that the model sees, in the video's pixels, (T, H', W', 3) uint8.
        seconds: display times, (T,).
    """

    clip: Tensor
    frames: Frames
    seconds: NDArray[np.float64]


def view_of(model: Model, source: Path, start_seconds: float) -> View:
    """Read the window that starts at this time."""
    spec = model.spec
    with open_video(source) as reader:
        window, *_ = plan_windows(reader.info, frames=spec.frames, fps=spec.fps, clip_start_seconds=start_seconds)
        geometry = spec.geometry(reader.info.size)
        clip = next(window_tensors(reader, (window,), spec, geometry))[None]
        frames = np.stack([frame for _, frame in reader.frames_at(window.times)])
        rows, columns = geometry.view_slices()
    return View(clip, frames[:, rows, columns], window.times)


def faster(model: Model, layer: str, precision: Precision = "float32") -> nn.Module:
    """Return the copy of the network that `explain` and `score` run."""
    return prepare(model, [layer], precision=precision).model.module


def explainer(model: Model, layer: str, methods: Sequence[str]) -> Callable[..., Explanation]:
    """Return a function (clip, target=None) → explanation. The baseline, a grey clip, is computed once."""
    reshape = reshape_of(model.spec)
    grey = vidcam.compute_baseline(model.module, grey_input(model.spec), layer=layer, reshape=reshape)
    return partial(vidcam.explain, model.module, layer=layer, methods=methods, reshape=reshape, baseline=grey)


def pass_on(source: Path, out: Path) -> None:
    """Decode a video to RGB and encode it in the stages of `render`, and draw nothing."""

    def draw(_: float, frame: Frames) -> Generator[Frames, None, None]:
        yield frame

    with open_video(source) as reader:
        info = reader.info
        writer = partial(VideoWriter, out, size=info.size, fps=info.fps, time_base=info.time_base)
        stream_frames(reader, info.pts_seconds, [writer], draw, clock=StageTimer(), progress=silent)


def explain_video(
    model: Model, source: Path, out: Path, *, overlap: float = 0.5, verdict_forwards: int | None = None
) -> Mapping[str, float]:
    """Write the overlay MP4 and the maps of gradcam++; return stage → seconds."""
    options = ExplainOptions(methods=("gradcam++",), overlap=overlap, verdict_forwards=verdict_forwards, overwrite=True)
    return Explainer(model, options).explain(source, out).stage_seconds
