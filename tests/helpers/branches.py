"""Networks with several last layers or several runs of one layer, and Grad-CAM of them by plain autograd.

The derivation keeps the whole graph, uses a hook that changes nothing, and nothing of `vidcam.cam`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

ScoreOf = Callable[[Any], Tensor]


def runs_by_autograd(net: nn.Module, clip: Any, layer: str, score: ScoreOf) -> list[tuple[Tensor, Tensor]]:
    """A and g = ∂score/∂A of every run of a layer; of every tensor if it returns a list."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.extend(output if isinstance(output, list | tuple) else [output])

    handle = net.get_submodule(layer).register_forward_hook(keep)
    value = score(net.eval()(clip)).sum()
    handle.remove()
    gradients = torch.autograd.grad(value, seen)
    return [(a.detach(), g) for a, g in zip(seen, gradients, strict=True)]


def gradcam_by_hand(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_d mean(g_d) · A_d)."""
    weights = gradients.flatten(2).mean(dim=2)
    return torch.einsum("nd,nd...->n...", weights, activations).relu()


def hirescam_by_hand(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_d g_d · A_d)."""
    return (activations * gradients).sum(dim=1).relu()


class Stream(nn.Module):
    """Two convolutions with ReLUs, global average pooling, one linear layer."""

    def __init__(self, channels: int = 3, classes: int = 5, stride: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(channels, 6, 3, padding=1), nn.ReLU(inplace=True))
        self.block = nn.Sequential(
            nn.Conv3d(6, 8, 3, stride=stride, padding=1), nn.BatchNorm3d(8), nn.ReLU(inplace=True)
        )
        self.fc = nn.Linear(8, classes)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.block(self.stem(clip)).mean(dim=(2, 3, 4)))
        return scores


class TwoStreams(nn.Module):
    """Appearance and motion, each with its own head; the scores are added."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Stream(3, stride=4), Stream(2)

    def forward(self, clips: list[Tensor]) -> Tensor:
        scores: Tensor = self.a(clips[0]) + self.b(clips[1])
        return scores


class Listed(Stream):
    """Its layer `both` returns two grids, the second on half of the frames."""

    class Both(nn.Module):
        def forward(self, features: Tensor) -> list[Tensor]:
            return [features, 2 * features[:, :, ::2].flip(-1)]

    def __init__(self) -> None:
        super().__init__()
        self.both = Listed.Both()

    def forward(self, clip: Tensor) -> Tensor:
        first, second = self.both(self.block(self.stem(clip)))
        scores: Tensor = self.fc(first.mean(dim=(2, 3, 4)) + second.mean(dim=(2, 3, 4)))
        return scores


class FrameLoop(nn.Module):
    """A CNN in a Python loop over the frames, or on all frames in one batch, before an LSTM."""

    def __init__(self, *, is_folded: bool = False) -> None:
        super().__init__()
        self.is_folded = is_folded
        self.cnn = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.rnn, self.fc = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, clip: Tensor) -> Tensor:
        if self.is_folded:
            rows = self.cnn(clip.transpose(1, 2).flatten(0, 1)).mean(dim=(2, 3))
            features = rows.unflatten(0, (len(clip), clip.shape[2]))
        else:
            frames = [self.cnn(frame).mean(dim=(2, 3)) for frame in clip.unbind(2)]
            features = torch.stack(frames, dim=1)
        scores: Tensor = self.fc(self.rnn(features)[0][:, -1])
        return scores


class Siamese(nn.Module):
    """One trunk for two clips."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Stream(classes=6)
        self.fc = nn.Linear(12, 3)

    def forward(self, clips: list[Tensor]) -> Tensor:
        scores: Tensor = self.fc(torch.cat([self.trunk(clip) for clip in clips], dim=1).tanh())
        return scores


class Tokens(nn.Module):
    """A transformer on the tokens of a convolution, with a class token or without."""

    def __init__(self, *, class_tokens: int = 0) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, 32, (2, 8, 8), (2, 8, 8))
        self.first = nn.Parameter(torch.randn(1, class_tokens, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.0)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.fc = nn.Linear(32, 5)

    def forward(self, clip: Tensor) -> Tensor:
        places = self.patch(clip).flatten(2).transpose(1, 2)
        scores: Tensor = self.fc(self.encoder(torch.cat([self.first.expand(len(clip), -1, -1), places], 1)).mean(dim=1))
        return scores


class UNet(nn.Module):
    """An encoder of two stages, and a decoder without a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv3d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.up, self.out = nn.ConvTranspose3d(16, 8, 2, stride=2), nn.Conv3d(16, 4, 1)

    def forward(self, clip: Tensor) -> Tensor:
        fine = self.first(clip)
        scores: Tensor = self.out(torch.cat([fine, self.up(self.second(fine))], dim=1))
        return scores


class LinearBeforePooling(nn.Module):
    """A head as in pytorchvideo: pooling, channels to the end, a linear layer, a mean over the remaining cells."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv3d(3, 16, 3, stride=(2, 4, 4), padding=1), nn.ReLU())
        self.pool, self.proj = nn.AvgPool3d((2, 3, 3), stride=1), nn.Linear(16, 6)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.proj(self.pool(self.block(clip)).permute(0, 2, 3, 4, 1)).mean(dim=(1, 2, 3))
        return scores


class ChannelsLast(nn.Module):
    """Blocks on (N, t, h, w, D), as in a Swin transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, 8, (1, 2, 2), (1, 2, 2))
        self.blocks = nn.Sequential(*(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU()) for _ in range(4)))
        self.fc = nn.Linear(8, 3)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.blocks(self.patch(clip).movedim(1, -1)).mean(dim=(1, 2, 3)))
        return scores
