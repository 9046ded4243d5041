"""tiny_r3d: a residual network of 3-D convolutions for the motion set, small enough to be shipped.

As the R3D of Tran et al. (arXiv:1711.11248) in miniature: blocks of two 3 × 3 × 3 convolutions with a way around, then
a mean over space and time and one linear layer. Input (N, 3, 16, 64, 64); `layer3`, after its ReLU, is (N, 48, 8, 8,
8). Behind a mean the gradient is one number a channel: Grad-CAM = HiResCAM = CAM here, and LayerCAM = Grad-CAM+.
"""

from __future__ import annotations

from torch import Tensor, nn

from vidcam.models.specs import TINY_R3D_SPEC

WIDTHS = (12, 24, 32, 48)
"""Channels of the stem and of the three blocks."""


class Block(nn.Module):
    """relu(x′ + norm(conv(relu(norm(conv(x)))))), x′ being x, or 1 × 1 × 1 of it where the shape changes."""

    def __init__(self, channels: int, width: int, *, stride: tuple[int, int, int] = (1, 1, 1)) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm3d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv3d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm3d(width)
        self.around: nn.Module = nn.Identity()
        if channels != width or stride != (1, 1, 1):
            self.around = nn.Sequential(nn.Conv3d(channels, width, 1, stride, bias=False), nn.BatchNorm3d(width))
        self.relu2 = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(N, D, t, h, w) to (N, D′, t′, h′, w′)."""
        inner = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(features)))))
        output: Tensor = self.relu2(inner + self.around(features))
        return output


class TinyR3D(nn.Module):
    """The network: clips (N, 3, T, H, W) to logits (N, K); any size from 8 × 8 pixels on."""

    def __init__(self, classes: int = TINY_R3D_SPEC.classes) -> None:
        super().__init__()
        stem, first, second, third = WIDTHS
        self.stem = nn.Sequential(
            nn.Conv3d(3, stem, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2), bias=False),
            nn.BatchNorm3d(stem),
            nn.ReLU(),
        )
        self.layer1 = Block(stem, first, stride=(2, 2, 2))
        self.layer2 = Block(first, second, stride=(1, 2, 2))
        self.layer3 = Block(second, third)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(third, classes)

    def forward(self, clip: Tensor) -> Tensor:
        """Logits of a batch of clips."""
        features = self.layer3(self.layer2(self.layer1(self.stem(clip))))
        logits: Tensor = self.fc(self.flatten(self.pool(features)))
        return logits
