"""Decode the windows of a video into batches of model input.

The video is decoded once, in order, and each frame is shrunk at once. Overlapping windows share frames. Only frames
that a later window needs are kept, so that memory does not grow with the video.
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

CPU = torch.device("cpu")


def window_tensors(
    reader: VideoReader, windows: Sequence[Window], spec: ModelSpec, geometry: Geometry, *, device: torch.device = CPU
) -> Generator[Tensor, None, None]:
    """Yield the model's input of each window, (3, T, H, W) float32; the windows must be in order of their start.

    Frames are decoded on the CPU, then resized and scaled on the device.
    """
    seconds = np.unique(np.concatenate([window.times for window in windows]))
    remaining, stream = iter(seconds.tolist()), reader.frames_at(seconds)
    frames: dict[float, Tensor] = {}
    newest = -np.inf
    for window in windows:
        first, last = float(window.times.min()), float(window.times.max())
        frames = {second: frame for second, frame in frames.items() if second >= first}
        while newest < last:
            newest, (_, frame) = next(remaining), next(stream)
            frames[newest] = crop_frames(frame[None], spec, geometry, device=device)[0]
        pixels = torch.stack([frames[second] for second in window.times.tolist()], dim=1)
        yield scale_pixels(pixels.unsqueeze(0), spec.scaling)[0]


def batches(
    reader: VideoReader,
    windows: Sequence[Window],
    spec: ModelSpec,
    geometry: Geometry,
    *,
    size: int,
    device: torch.device = CPU,
) -> Generator[tuple[range, Tensor], None, None]:
    """Yield batches: indices of the windows and their input (n, 3, T, H, W); n is `size` except in the last batch."""
    tensors = window_tensors(reader, windows, spec, geometry, device=device)
    for start in range(0, len(windows), size):
        indices = range(start, min(start + size, len(windows)))
        batch = torch.empty(len(indices), 3, *spec.input_size, device=device)
        for row in batch:
            row.copy_(next(tensors))
        yield indices, batch


def timeline(windows: Sequence[Window]) -> Timeline:
    """Return the times of the windows."""
    return Timeline(
        starts=np.array([window.start_seconds for window in windows]),
        ends=np.array([window.end_seconds for window in windows]),
        frame_seconds=np.stack([window.times for window in windows]),
    )
