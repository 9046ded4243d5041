"""From a video to batches of model input: decoded once, in order, each frame shrunk as soon as it is decoded.

Overlapping windows share frames. Kept are only the model-sized frames that a later window still needs, so that memory
does not grow with the video, nor much with its resolution.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import Tensor

from vidcam.geometry import Geometry
from vidcam.preprocess import crop_frames, scale_pixels
from vidcam.results.timeline import Timeline
from vidcam.sampling import Window
from vidcam.spec import ModelSpec
from vidcam.video.reader import VideoReader


def window_tensors(
    reader: VideoReader, windows: Sequence[Window], spec: ModelSpec, geometry: Geometry
) -> Generator[Tensor, None, None]:
    """The model's input for each window, (3, T, H, W) float32, by start; the video is decoded once."""
    seconds = np.unique(np.concatenate([window.times for window in windows]))
    wanted, stream = iter(seconds.tolist()), reader.frames_at(seconds)
    kept: dict[float, Tensor] = {}
    newest = -np.inf
    for window in windows:
        first, last = float(window.times.min()), float(window.times.max())
        kept = {second: frame for second, frame in kept.items() if second >= first}
        while newest < last:
            newest, (_, frame) = next(wanted), next(stream)
            kept[newest] = crop_frames(frame[None], spec, geometry)[0]
        pixels = torch.stack([kept[second] for second in window.times.tolist()], dim=1)
        yield scale_pixels(pixels.unsqueeze(0), spec.scaling)[0]


def batches(
    reader: VideoReader, windows: Sequence[Window], spec: ModelSpec, geometry: Geometry, *, size: int
) -> Generator[tuple[range, Tensor], None, None]:
    """Indices of the windows and their input (n, 3, T, H, W), n = `size` but for the last batch."""
    tensors = window_tensors(reader, windows, spec, geometry)
    for start in range(0, len(windows), size):
        indices = range(start, min(start + size, len(windows)))
        batch = torch.empty(len(indices), 3, *spec.input_size)
        for row in batch:
            row.copy_(next(tensors))
        yield indices, batch


def timeline(windows: Sequence[Window]) -> Timeline:
    """When the windows lie."""
    return Timeline(
        starts=np.array([window.start_seconds for window in windows]),
        ends=np.array([window.end_seconds for window in windows]),
        frame_seconds=np.stack([window.times for window in windows]),
    )
