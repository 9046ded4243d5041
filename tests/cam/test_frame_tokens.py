"""Tokens of single frames, in clips and in frames that are rows of the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.nets import random_clip, seeded
from tests.helpers.networks import assert_alike


class FrameTokens(nn.Module):
    """A transformer of single frames, (N, T, C, H, W) or frames in the batch, and the mean of their scores."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.embed, self.token = nn.Conv2d(3, 8, 2, 2), nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(3)])
        self.fc = nn.Linear(8, 4)

    def forward(self, clip: Tensor) -> Tensor:
        cells = self.embed(clip.reshape(-1, 3, *clip.shape[-2:])).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(len(cells), -1, -1), cells], dim=1)
        for block in self.blocks:
            rows = block(rows)
        scores: Tensor = self.fc(rows[:, 0].reshape(-1, self.frames, 8).mean(1))
        return scores


def test_tokens_of_frames() -> None:
    """A norm is chosen, with a reshape that fits; frames in the batch need no `frames`, and may have it."""
    net, clip = seeded(FrameTokens, frames=3), random_clip(2, 3, 3, 8, 6)
    chosen = vidcam.explain(net, clip, axes="NTCHW", methods="gradcam")
    assert "vidcam.in_turn([vidcam.tokens((4, 3), class_tokens=1), vidcam.frames(3)])" in chosen.notes[0]
    by_frames = vidcam.explain(net, clip.flatten(0, 1), methods="gradcam")
    assert "reshape=vidcam.tokens((4, 3), class_tokens=1)" in by_frames.notes[0]
    assert chosen.layer == by_frames.layer == "blocks.1.norm2"
    assert chosen.volumes["gradcam"].shape == (2, 3, 4, 3)
    of_frame = vidcam.tokens((4, 3))
    reshape = vidcam.in_turn([of_frame, vidcam.frames(3)])
    expected = vidcam.explain(net, clip, axes="NTCHW", layer="blocks.1", reshape=reshape, target=1)
    assert expected.volumes["gradcam"].max() > 0
    for axes in (None, "(NT)CHW"):
        for each in (of_frame, reshape):
            found = vidcam.explain(net, clip.flatten(0, 1), axes=axes, layer="blocks.1", reshape=each, target=1)
            assert_alike(found, expected)
