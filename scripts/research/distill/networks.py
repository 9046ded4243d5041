"""The student: a plain 3-D CNN with an eleventh of the parameters of its teacher, tiny_r3d."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.research.pool import to_input

WIDTHS = (8, 8, 16, 24)
"""Channels of the four convolutions."""

STRIDES = ((2, 2, 2), (1, 2, 2), (2, 1, 1), (1, 1, 1))

LAYER = "relu4"
"""The last feature map, (N, 24, 4, 8, 8); that of tiny_r3d, layer3, is (N, 48, 8, 8, 8)."""

_AT_ONCE = 50


def make_student(classes: int, seed: int) -> nn.Sequential:
    """Make a student with weights of a seed: four convolutions, global pooling and one linear layer."""
    torch.manual_seed(seed)
    layers: dict[str, nn.Module] = {}
    channels = 3
    for number, (width, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True), start=1):
        layers[f"conv{number}"] = nn.Conv3d(channels, width, 3, stride, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm3d(width)
        layers[f"relu{number}"] = nn.ReLU()
        channels = width
    head = {"pool": nn.AdaptiveAvgPool3d(1), "flatten": nn.Flatten(), "fc": nn.Linear(channels, classes)}
    return nn.Sequential(OrderedDict({**layers, **head})).to(memory_format=torch.channels_last_3d)


def student_input(frames: Tensor) -> Tensor:
    """Convert frames (n, T, H, W, 3) uint8 to the student's clips (n, 3, T, H/2, W/2) float16, to be kept in memory."""
    parts = [functional.avg_pool3d(to_input(part), (1, 2, 2)).half() for part in frames.split(_AT_ONCE)]
    return torch.cat(parts)


def as_batch(clips: Tensor) -> Tensor:
    """Make a batch of kept clips ready for the student, float32."""
    return clips.float().contiguous(memory_format=torch.channels_last_3d)
