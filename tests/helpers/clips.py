"""Clips by themselves: frames at times in any order, and one clip as a model takes it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from vidcam.media import Frames, Seconds
from vidcam.preprocess import crop_frames, scale_pixels
from vidcam.spec import ModelSpec
from vidcam.video.reader import VideoReader


def frames_of(reader: VideoReader, seconds: Seconds) -> tuple[Frames, Seconds]:
    """The frames on display at times in any order, (T, H, W, 3), and their own time stamps."""
    order = np.argsort(seconds, kind="stable")
    stamps, frames = zip(*reader.frames_at(seconds[order]), strict=True)
    back = np.argsort(order, kind="stable")
    return np.stack(frames)[back], np.array(stamps)[back]


def model_input(frames: Frames, spec: ModelSpec) -> Tensor:
    """Frames (T, H, W, 3) as a batch of one clip, (1, 3, T, H, W)."""
    pixels = crop_frames(frames, spec, spec.geometry((frames.shape[1], frames.shape[2])))
    return scale_pixels(pixels.transpose(0, 1).unsqueeze(0), spec.scaling).contiguous()
