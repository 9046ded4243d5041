"""Decode the windows of a video into batches of model input.

The video is decoded once, in order, and each frame is shrunk at once. Overlapping windows and crops share frames. Only
frames that a later window needs are kept, so that memory does not grow with the video.
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
    reader: VideoReader,
    windows: Sequence[Window],
    spec: ModelSpec,
    geometry: Geometry,
    *,
    crops: Sequence[Geometry] = (),
    device: torch.device = CPU,
) -> Generator[Tensor, None, None]:
    """Yield the model's input of each window, (3, T, H, W) float32.

    Frames are decoded on the CPU, then resized and scaled on the device.

    Args:
        reader: the video.
        windows: in order of their start.
        spec: resize and scaling of the model.
        geometry: the part of the frame that is seen.
        crops: the model's inputs of each window, in `geometry`; empty: one, which is all of it.
        device: where frames are resized.
    """
    parts = [crop.slices_in(geometry) for crop in crops or (geometry,)]
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
        for rows, columns in parts:
            yield scale_pixels(pixels[None, :, :, rows, columns], spec.scaling)[0]


def batches(
    reader: VideoReader,
    windows: Sequence[Window],
    spec: ModelSpec,
    geometry: Geometry,
    *,
    crops: Sequence[Geometry] = (),
    size: int,
    device: torch.device = CPU,
) -> Generator[tuple[range, Tensor], None, None]:
    """Yield batches: indices of the windows and their input (n, 3, T, H, W).

    A batch has at most `size` clips, but one whole window at least. The crops of a window are n / windows clips in a
    row. For the other arguments see `window_tensors`.
    """
    tensors = window_tensors(reader, windows, spec, geometry, crops=crops, device=device)
    clips = max(1, len(crops))
    step = max(1, size // clips)
    for start in range(0, len(windows), step):
        indices = range(start, min(start + step, len(windows)))
        batch = torch.empty(len(indices) * clips, 3, *spec.input_size, device=device)
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
