"""A small network in float64 whose maps are known by hand, with any head, and the derivatives of its scores.

A is the ReLU of a convolution of one cell, so its value at each position is known from the clip. Grad-CAM is then
relu(Σ_d mean(g_d)·A_d), where g is written by hand for each head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

CLASSES = 5
CHANNELS = 6


class Headed(nn.Module):
    """`block` makes A (N, 6, T, h, w); `head` is a function of this module and A."""

    def __init__(self, head: Callable[[Any, Tensor], Any], *, classes: int = CLASSES) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.block = nn.Sequential(nn.Conv3d(3, CHANNELS, 1), nn.ReLU())
        self.fc = nn.Linear(CHANNELS, classes)
        self._head = head
        self.double().eval()

    def forward(self, clip: Tensor) -> Any:
        return self._head(self, self.block(clip))


def double_clip(clips: int = 2, frames: int = 4) -> Tensor:
    """(N, 3, T, 3, 3) float64."""
    return torch.rand(clips, 3, frames, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def activations(network: Headed, clip: Tensor) -> Tensor:
    """A, computed without vidcam."""
    with torch.no_grad():
        result: Tensor = network.block(clip)
    return result


def grad_cam(a: Tensor, gradient: Tensor) -> NDArray[np.float64]:
    """relu(Σ_d mean(g_d)·A_d), (N, t, h, w)."""
    weights = gradient.expand_as(a).mean(dim=(2, 3, 4))
    return np.asarray(torch.einsum("nd,ndthw->nthw", weights, a).clamp(min=0).numpy())
