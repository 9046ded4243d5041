"""Networks that take frames one by one: of timm, recurrent, TSN, TSM, and one that streams."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.gallery.family import Family, Names, Patch

FRAMES = 8


def small_cnn(*, shifted: bool = False) -> nn.Sequential:
    """Two blocks of convolutions for single frames, (N·T, 3, H, W) → (N·T, 12, h, w)."""
    shift = [Shift()] if shifted else []
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), *shift, nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU()
    )


class Shift(nn.Module):
    """TSM: the first quarter of the channels comes from the frame before, the second from the frame after."""

    def forward(self, folded: Tensor) -> Tensor:
        """(N·T, D, h, w), same shape."""
        x = folded.reshape(-1, FRAMES, *folded.shape[1:])
        part = x.shape[2] // 4
        shifted = x.clone()
        shifted[:, 1:, :part], shifted[:, 0, :part] = x[:, :-1, :part], 0.0
        shifted[:, :-1, part : 2 * part], shifted[:, -1, part : 2 * part] = x[:, 1:, part : 2 * part], 0.0
        return shifted.flatten(0, 1)


class CnnLstm(nn.Module):
    """A CNN on frames, then an LSTM, whose last state is classified."""

    def __init__(self, *, looped: bool) -> None:
        super().__init__()
        self.looped, self.cnn = looped, small_cnn()
        self.lstm, self.head = nn.LSTM(12, 10, batch_first=True), nn.Linear(10, 5)

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 3, T, H, W) → (N, K)."""
        if self.looped:
            features = torch.stack([self.cnn(frame).mean(dim=(2, 3)) for frame in clip.unbind(dim=2)], dim=1)
        else:
            folded = self.cnn(clip.transpose(1, 2).flatten(0, 1))
            features = folded.mean(dim=(2, 3)).unflatten(0, (len(clip), -1))
        scores: Tensor = self.head(self.lstm(features)[0][:, -1])
        return scores


class Consensus(nn.Module):
    """TSN: each frame, or segment, has its own scores. Their mean is the clip's. TSM with shifts inside."""

    def __init__(self, *, shifted: bool) -> None:
        super().__init__()
        self.cnn, self.head = small_cnn(shifted=shifted), nn.Linear(12, 5)

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 3, T, H, W) → (N, K)."""
        features = self.cnn(clip.transpose(1, 2).flatten(0, 1))
        scores: Tensor = self.head(features.mean(dim=(2, 3))).unflatten(0, (len(clip), -1)).mean(dim=1)
        return scores


class CausalConv(nn.Conv3d):
    """MoViNet's: padded in time with the last two frames of the chunk before."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, stride=(1, 2, 2), padding=(0, 1, 1))
        self.register_buffer("stream", torch.empty(0))

    def forward(self, chunk: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, D, T, H / 2, W / 2)."""
        stream = self.get_buffer("stream")
        before = stream if stream.numel() else torch.zeros_like(chunk[:, :, :2])
        padded = torch.cat((before, chunk), dim=2)
        self.stream = padded[:, :, -2:].detach()
        return super().forward(padded)


class Streaming(nn.Module):
    """Two causal convolutions and a cumulative mean over all frames so far."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(CausalConv(3, 8), nn.ReLU(), CausalConv(8, 12), nn.ReLU())
        self.head = nn.Linear(12, 5)
        self.register_buffer("total", torch.zeros(1, 12))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, chunk: Tensor) -> Tensor:
        """(N, 3, T, H, W) → (N, K)."""
        features = self.features(chunk).mean(dim=(3, 4))
        total, count = self.get_buffer("total") + features.sum(dim=2), self.get_buffer("count") + features.shape[2]
        self.total, self.count = total.detach(), count
        scores: Tensor = self.head(total / count)
        return scores


def timm_resnet(patch: Patch) -> Names:
    """A random resnet18 whatever the recipe asks for."""
    timm = importlib.import_module("timm")
    build = timm.create_model
    patch.setattr(timm, "create_model", lambda _name, pretrained: build("resnet18", num_classes=5))
    return {"clip": torch.randn(1, 3, FRAMES, 64, 96)}


def own(build: Callable[[], nn.Module], *, frames: int = FRAMES) -> Callable[[Patch], Names]:
    """A network of this file and a clip."""

    def prepare(patch: Patch) -> Names:
        del patch
        return {"network": build().eval(), "clip": torch.randn(1, 3, frames, 128, 160)}

    return prepare


def folded(features: Tensor) -> Tensor:
    """(8, D, h, w) of one clip's frames → (1, D, 8, h, w)."""
    return torch.stack(tuple(features), dim=1)[None]


FAMILIES = (
    Family("timm, averaged over time", "frames", timm_resnet, "timm", folded, is_probed=True, reach=1),
    Family(
        "CNN and LSTM, folded", "frames", own(lambda: CnnLstm(looped=False)), layout=folded, is_probed=True, reach=1
    ),
    Family(
        "CNN and LSTM, in a loop",
        "frames",
        own(lambda: CnnLstm(looped=True)),
        is_probed=True,
        reach=1,
    ),
    Family("TSN", "frames", own(lambda: Consensus(shifted=False)), layout=folded, is_probed=True, reach=1),
    Family("TSM", "frames", own(lambda: Consensus(shifted=True)), layout=folded, is_probed=True, reach=1),
    Family(
        "MoViNet's streaming scheme",
        "frames",
        own(Streaming, frames=24),
        is_probed=True,
        reach=2,  # causal: a cell sees its own frame and four before it
    ),
)
