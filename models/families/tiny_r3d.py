"""tiny_r3d: a small 3-D ResNet for the motion set, shipped with vidcam.

It is a small version of the R3D of Tran et al. (arXiv:1711.11248): residual blocks of two 3 × 3 × 3 convolutions, then
global average pooling and one linear layer. The input is (N, 3, 16, 64, 64). The target layer `layer3` returns
(N, 48, 8, 8, 8) after its ReLU. Because of the pooling the gradient is the same at every position. So Grad-CAM,
HiResCAM and CAM are equal, and LayerCAM equals Grad-CAM+.
"""

from __future__ import annotations

from torch import Tensor, nn

from vidcam.models.specs import TINY_R3D_SPEC

WIDTHS = (12, 24, 32, 48)
"""Channels of the stem and of the three blocks."""


class Block(nn.Module):
    """Residual block relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))).

    The shortcut is the identity, or a 1 × 1 × 1 convolution where the shape changes.
    """

    def __init__(self, channels: int, width: int, *, stride: tuple[int, int, int] = (1, 1, 1)) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm3d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv3d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm3d(width)
        self.around: nn.Module = nn.Identity()  # the shortcut; the shipped weights use this name
        if channels != width or stride != (1, 1, 1):
            self.around = nn.Sequential(nn.Conv3d(channels, width, 1, stride, bias=False), nn.BatchNorm3d(width))
        self.relu2 = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D, t, h, w) to (N, D′, t′, h′, w′)."""
        residual = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(features)))))
        output: Tensor = self.relu2(residual + self.around(features))
        return output


class TinyR3D(nn.Module):
    """Network from clips (N, 3, T, H, W) to logits (N, K). The frames must have at least 8 × 8 pixels."""

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
        """Compute the logits of a batch of clips."""
        features = self.layer3(self.layer2(self.layer1(self.stem(clip))))
        logits: Tensor = self.fc(self.flatten(self.pool(features)))
        return logits
