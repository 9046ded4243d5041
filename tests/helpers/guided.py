"""Guided backpropagation through a small network, and what it must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.helpers import oracle
from tests.helpers.nets import random_clip, seeded
from vidcam.cam.guided import guided_gradients

Rectifier = Callable[[Tensor], Tensor]


class Deep(nn.Module):
    """Conv3d → rectifier, twice, mean over the grid, linear; the rectifier is given as a function or a module."""

    def __init__(self, rectify: Rectifier = torch.relu) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(4, 5, 3, padding=1)])
        self.fc = nn.Linear(5, 4)
        self.rectify = rectify

    def forward(self, clip: Tensor) -> Tensor:
        features = clip
        for conv in self.convs:
            features = self.rectify(conv(features))
        scores: Tensor = self.fc(features.mean(dim=(2, 3, 4)))
        return scores


def deep(rectify: Rectifier = torch.relu) -> Deep:
    net = seeded(Deep, rectify=rectify).double()
    assert isinstance(net, Deep)
    return net


def clip_of(clips: int = 2) -> Tensor:
    return random_clip(clips, 3, 4, 6, 7, dtype=torch.float64)


def first(output: Tensor) -> Tensor:
    return output[:, 0].sum()


def guided(net: nn.Module, clip: Tensor, score: Callable[[Any], Tensor] = first) -> Tensor:
    result = guided_gradients(net, clip, score)
    assert isinstance(result, Tensor)
    return result


def expected_of(net: Deep, clip: Tensor, *, target: int = 0, upper: float = float("inf")) -> Tensor:
    convs = [conv for conv in net.convs if isinstance(conv, nn.Conv3d)]
    return oracle.guided_gradient(convs, net.fc.weight[target].detach(), clip, upper=upper)
