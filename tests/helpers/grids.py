"""Networks and clips for which the truth of the grid pointing game is known exactly."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.helpers.nets import TINY_SPEC
from tests.helpers.videos import write_video
from vidcam.models.model import Model


class ChannelNet(nn.Module):
    """The score of class k is the mean of channel k: its map lies where channel k is bright, and nowhere else."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.relu, self.scale = nn.ReLU(), scale

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.scale * self.relu(clip).mean(dim=(2, 3, 4))
        return scores


class FixedChannelNet(ChannelNet):
    """The same with a linear layer, which has one weight for each pixel of an input of 4 × 16 × 16."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__(scale)
        self.fc = nn.Linear(3 * 1024, 3, bias=False)
        weight = torch.eye(3).repeat_interleave(1024, dim=1) / 1024
        self.fc.weight = nn.Parameter(weight)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.scale * self.fc(self.relu(clip).flatten(1))
        return scores


class BlindNet(nn.Module):
    """Both classes are scored by how bright the clip is: each map is the same for every class."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        bright = self.relu(clip).mean(dim=(1, 2, 3, 4))
        return torch.stack([bright, 2 * bright, 3 * bright], dim=1)


def channel_model(network: type[ChannelNet] = ChannelNet, *, scale: float = 1.0) -> Model:
    """`ChannelNet` behind the whole pipeline: red, green and blue clips of 4 × 16 × 16, pixels in [0, 1]."""
    return Model(replace(TINY_SPEC, name="channels"), network(scale).eval(), ("red", "green", "blue"), "by hand")


def coloured_clips(classes: list[int], *, frames: int = 4, side: int = 16) -> Tensor:
    """Clips (N, 3, T, H, W) in which only the channel of the class is bright, unevenly."""
    clips = torch.zeros(len(classes), 3, frames, side, side)
    generator = torch.Generator().manual_seed(0)
    for clip, channel in zip(clips, classes, strict=True):
        clip[channel] = 0.5 + 0.5 * torch.rand(frames, side, side, generator=generator)
    return clips


def write_coloured_set(folder: Path, classes: Sequence[int], labels: Sequence[str]) -> Path:
    """A manifest of videos of one colour each, and their labels, which may be wrong or empty."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, clip in enumerate(coloured_clips([*classes], frames=8)):
        frames = (255 * clip).round().byte().permute(1, 2, 3, 0).numpy()
        write_video(folder / f"clip{index}.mkv", frames, fps=Fraction(25))
    with (folder / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((f"clip{index}.mkv", label) for index, label in enumerate(labels))
    return folder / "set.csv"
