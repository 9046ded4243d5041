"""Small networks for tests: some with weights that can be multiplied in the head, some random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor, nn

from vidcam.models.families.image import image_network
from vidcam.models.model import Model
from vidcam.spec import ModelSpec, Scaling


class HiddenHead(nn.Module):
    """Conv3d → ReLU → (in-place?) ReLU → two linear layers with a ReLU between: the head on which ++ and + differ."""

    def __init__(self, *, grid: tuple[int, int, int] = (3, 4, 4), inplace: bool = False, classes: int = 4) -> None:
        super().__init__()
        cells = grid[0] * grid[1] * grid[2]
        self.conv = nn.Conv3d(3, 5, 3, padding=1)
        self.relu = nn.ReLU()
        self.after = nn.ReLU(inplace=inplace)
        self.hidden = nn.Linear(5 * cells, 12)
        self.out = nn.Linear(12, classes)

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(self.relu(self.conv(clip)))

    def head(self, activations: Tensor) -> Tensor:
        """What lies above `relu`."""
        scores: Tensor = self.out(torch.relu(self.hidden(self.after(activations).flatten(1))))
        return scores


class PooledHead(nn.Module):
    """Two blocks of Conv3d and ReLU, with batch normalisation and dropout, then global pooling and one linear layer."""

    def __init__(self, *, classes: int = 4) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv3d(3, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(inplace=True))
        self.block2 = nn.Sequential(nn.MaxPool3d(2), nn.Conv3d(6, 8, 3, padding=1), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(0.5)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(8, classes)

    def forward(self, clip: Tensor) -> Tensor:
        features = self.dropout(self.block2(self.block1(clip)))
        scores: Tensor = self.fc(self.pool(features).flatten(1))
        return scores


class BrightnessNet(nn.Module):
    """Hand-weighted: A is the mean brightness of each cell of 4 frames × 8 × 8 pixels, S_0 = ΣA, S_1 = -ΣA.

    For class 0 every g is 1, so each method's map is proportional to the brightness itself.
    """

    def __init__(self, cell: tuple[int, int, int] = (4, 8, 8)) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d(cell)
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        brightness = self.relu(self.pool(clip.mean(dim=1, keepdim=True)))  # (N, 1, t, h, w)
        total = brightness.flatten(1).sum(dim=1)
        return torch.stack([total, -total], dim=1)


def seeded(net: Callable[..., nn.Module], seed: int = 0, **options: object) -> nn.Module:
    """A network with reproducible random weights; the caller's random state is left alone."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        return net(**options)


def random_clip(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal noise, reproducible."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


TINY_SPEC = ModelSpec(
    name="tiny",
    frames=4,
    fps=Fraction(25),
    resize=(16, 16),
    crop_size=(16, 16),
    scaling=Scaling(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    classes=3,
    layer="relu",
)
"""For networks whose numbers are followed by hand: four consecutive frames of 16 × 16, in [0, 1]."""

BRIGHTNESS_SPEC = ModelSpec(
    name="brightness",
    frames=16,
    fps=Fraction(25, 2),
    resize=64,
    crop_size=(56, 56),
    scaling=Scaling(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
    classes=2,
    layer="relu",
)


def brightness_model() -> Model:
    """`BrightnessNet` behind the whole pipeline: maps follow what is bright."""
    return Model(BRIGHTNESS_SPEC, BrightnessNet().eval(), ("Bright thing", "dark/thing"), "by hand")


def pooled_model() -> Model:
    """A random network with a pooled head and four classes; quick on a CPU."""
    spec = ModelSpec(
        name="pooled",
        frames=8,
        fps=Fraction(25, 2),
        resize=(40, 48),
        crop_size=(32, 32),
        scaling=Scaling(mean=(110.0, 100.0, 90.0), std=(60.0, 55.0, 50.0)),
        classes=4,
        layer=None,
    )
    return Model(spec, seeded(PooledHead).eval(), ("one", "two", "three", "four"), "random (seed 0)")


def hidden_model() -> Model:
    """A random network with a hidden layer in its head, whose map has a cell for each of its 4 × 16 × 16 voxels."""
    module = seeded(HiddenHead, grid=(4, 16, 16), classes=3).eval()
    return Model(TINY_SPEC, module, ("red", "green", "blue"), "random (seed 0)")


class Arrange(nn.Module):
    """(N, D, t, h, w) as other kinds of networks return it: 'tokens', 'channels-last' or 'frames'."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, features: Tensor) -> Tensor:
        if self.kind == "tokens":
            places = features.flatten(2).transpose(1, 2)
            return torch.cat([torch.zeros_like(places[:, :1]), places], dim=1)  # (N, 1 + t·h·w, D)
        if self.kind == "channels-last":
            return features.movedim(1, -1)
        return features.transpose(1, 2).flatten(0, 1)  # (N·t, D, h, w)


class ArrangedNet(BrightnessNet):
    """`BrightnessNet` whose layer `arrange` returns the same activations arranged otherwise."""

    def __init__(self, kind: str, cell: tuple[int, int, int] = (4, 8, 8)) -> None:
        super().__init__(cell)
        self.arrange = Arrange(kind)

    def forward(self, clip: Tensor) -> Tensor:
        arranged = self.arrange(self.relu(self.pool(clip.mean(dim=1, keepdim=True))))
        total = arranged.reshape(clip.shape[0], -1).sum(dim=1)
        return torch.stack([total, -total], dim=1)


class BrightImageNet(nn.Module):
    """`BrightnessNet` for images, (N, 3, H, W): A is the mean brightness of each cell of 8 × 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(8)
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        total = self.relu(self.pool(image.mean(dim=1, keepdim=True))).flatten(1).sum(dim=1)
        return torch.stack([total, -total], dim=1)


def bright_image_model() -> Model:
    """An image network behind the whole pipeline."""
    spec = replace(BRIGHTNESS_SPEC, name="bright-image", frames=1, fps=Fraction(5), layout="frames")
    return Model(spec, image_network(BrightImageNet()), ("Bright thing", "dark/thing"), "by hand")


def count_forwards(net: nn.Module) -> Counter[str]:
    """Count how often a network runs from now on; an attribute of the network would be put back after each run."""
    runs: Counter[str] = Counter()
    net.register_forward_pre_hook(lambda _net, _inputs: runs.update(["run"]))
    return runs
