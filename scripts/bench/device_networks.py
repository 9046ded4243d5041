"""The networks of the device script: random weights, each with its target layer and reshape."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.video import r3d_18
from torchvision.models.vision_transformer import EncoderBlock

from vidcam.cam.reshape import Reshape, tokens
from vidcam.models.families.i3d import I3D

PRECISIONS = ("fp32", "TF32", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class Case:
    """A network on a device.

    Attributes:
        name: of the network.
        network: in evaluation mode.
        layer: dotted name of the target layer.
        input_size: (T, H, W).
        reshape: of a transformer.
    """

    name: str
    network: nn.Module
    layer: str
    input_size: tuple[int, int, int]
    reshape: Reshape | None = None

    def clip(self, batch: int) -> Tensor:
        """Noise (batch, 3, T, H, W), the same on every device."""
        noise = torch.randn(batch, 3, *self.input_size, generator=torch.Generator().manual_seed(1))
        return noise.to(next(self.network.parameters()).device)

    def on(self, device: torch.device | str) -> Case:
        """A copy on another device."""
        return Case(self.name, copy.deepcopy(self.network).to(device), self.layer, self.input_size, self.reshape)


class SmallNetwork(nn.Module):
    """Two convolutions, pooling and a linear layer."""

    def __init__(self, classes: int = 8) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv3d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv3d(8, 16, 3, stride=2, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(16, classes)

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 3, T, H, W) → (N, K)."""
        scores: Tensor = self.head(self.trunk(clip).mean(dim=(2, 3, 4)))
        return scores


class RecurrentNetwork(nn.Module):
    """Convolutions for each frame, then an LSTM with dropout over time."""

    def __init__(self, classes: int = 8) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv3d(3, 8, (1, 3, 3), stride=(1, 2, 2)), nn.ReLU())
        self.memory = nn.LSTM(8, 16, num_layers=2, dropout=0.5, batch_first=True)
        self.head = nn.Linear(16, classes)

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 3, T, H, W) → (N, K)."""
        over_time = self.trunk(clip).mean(dim=(3, 4)).transpose(1, 2)
        scores: Tensor = self.head(self.memory(over_time)[0][:, -1])
        return scores


class VideoTransformer(nn.Module):
    """A video transformer of VideoMAE's shape: tubelets of 2 × 16 × 16, no class token, mean pooling."""

    def __init__(
        self, *, width: int = 768, depth: int = 12, heads: int = 12, grid: tuple[int, int, int] = (8, 14, 14)
    ) -> None:
        super().__init__()
        self.patches = nn.Conv3d(3, width, (2, 16, 16), stride=(2, 16, 16))
        self.positions = nn.Parameter(0.02 * torch.randn(1, grid[0] * grid[1] * grid[2], width))
        self.blocks = nn.Sequential(*(EncoderBlock(heads, width, 4 * width, 0.0, 0.0) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 400)

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 3, T, H, W) → (N, 400)."""
        sequence = self.patches(clip).flatten(2).transpose(1, 2) + self.positions
        scores: Tensor = self.head(self.norm(self.blocks(sequence)).mean(dim=1))
        return scores


def cases(device: torch.device, *, is_small: bool) -> Iterator[Case]:
    """r3d_18, I3D and a ViT-B, or three small networks; one at a time, so that memory holds one."""
    for make in (_small_cases if is_small else _full_cases)():
        torch.manual_seed(0)
        yield make().on(device)


def _small_cases() -> list[Callable[[], Case]]:
    def transformer() -> Case:
        network = VideoTransformer(width=32, depth=2, heads=2, grid=(2, 2, 2)).eval()
        return Case("small ViT", network, "blocks.1.ln_1", (4, 32, 32), tokens((2, 2, 2), class_tokens=0))

    return [lambda: Case("small CNN", SmallNetwork().eval(), "trunk.3", (4, 16, 16)), transformer]


def _full_cases() -> list[Callable[[], Case]]:
    def transformer() -> Case:
        layer = "blocks.11.ln_1"
        return Case(
            "ViT-B, VideoMAE", VideoTransformer().eval(), layer, (16, 224, 224), tokens((8, 14, 14), class_tokens=0)
        )

    return [
        lambda: Case("r3d_18", r3d_18().eval(), "layer4", (16, 112, 112)),
        lambda: Case("I3D", I3D().eval(), "Mixed_5c", (16, 224, 224)),
        transformer,
    ]


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Run in a precision: TF32 through torch's switches, bf16 and fp16 through autocast."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = name == "TF32"
    halves = {"bf16": torch.bfloat16, "fp16": torch.float16}
    try:
        with torch.autocast(device.type, halves.get(name, torch.bfloat16), enabled=name in halves):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products
