"""Give a SlowFast network one clip instead of its two pathways."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SlowFastInput(nn.Module):
    """A SlowFast network on clips (N, 3, T, H, W): the fast pathway sees all frames, the slow one a few.

    As in its training, the frames of the slow pathway include the first and the last.

    Attributes:
        network: from [slow, fast] to logits (N, K).
        ratio: how many times as many frames the fast pathway sees.
    """

    def __init__(self, network: nn.Module, ratio: int) -> None:
        super().__init__()
        self.network, self.ratio = network, ratio

    def forward(self, clip: Tensor) -> Tensor:
        """Return logits (N, K)."""
        frames = clip.shape[2]
        slow = torch.linspace(0, frames - 1, frames // self.ratio, device=clip.device).long()
        logits: Tensor = self.network([clip.index_select(2, slow), clip])
        return logits
