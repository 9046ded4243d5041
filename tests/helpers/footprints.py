"""The worked example of Grad-CAM++ (arXiv:1710.11063, fig. 2): three feature maps with 15, 4 and 2 of 80 cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

GRID = (8, 10)
CELLS = 80

RECTANGLES = ((1, 1, 5, 3), (1, 7, 2, 2), (6, 6, 1, 2))
"""Top, left, height and width of each object. Each is found by a feature map of its own."""

ACTIVE = (15, 4, 2)


class FootprintNet(nn.Module):
    """A network of which the three feature maps are the input itself.

    Its score is ΣA²·scale/2, so that the gradient is `scale` where A = 1 and 0 elsewhere: eq. 4 for scale 1. With
    `pooled` it is the sum of the channels' means, as behind global average pooling: the gradient is 1/80 everywhere.
    """

    def __init__(self, *, scale: float = 1.0, pooled: bool = False) -> None:
        super().__init__()
        self.maps, self.scale, self.pooled = nn.ReLU(), scale, pooled

    def forward(self, clip: Tensor) -> Tensor:
        """Compute logits (N, 2) from clips (N, 3, 1, 8, 10)."""
        maps = self.maps(clip).flatten(2)
        score = maps.mean(dim=2).sum(dim=1) if self.pooled else self.scale * maps.square().sum(dim=(1, 2)) / 2
        return torch.stack([score, torch.zeros_like(score)], dim=1)


def footprints() -> Tensor:
    """The three feature maps as one clip of one frame, (1, 3, 1, 8, 10)."""
    clip = torch.zeros(1, 3, 1, *GRID)
    for channel, (top, left, height, width) in enumerate(RECTANGLES):
        clip[0, channel, 0, top : top + height, left : left + width] = 1.0
    return clip
