"""`cam`: W·A on small numbers, on every spelling of a pooled linear head; other heads raise an error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import HiddenHead, random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.errors import InputError


def linear(weight: list[list[float]], bias: list[float] | None) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


WEIGHT = [[2.0, -1.0], [0.5, 3.0], [0.0, -2.0]]


@pytest.mark.parametrize("bias", [None, [5.0, -100.0, 0.25]])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": 0}, [[[1.0, 0.0]]]),  # 2·1 - 1·1, 2·0 - 1·3 < 0
        ({"target": 1}, [[[3.5, 9.0]]]),
        ({"target": 1, "contrast": 0}, [[[2.5, 12.0]]]),
        ({"target": 2}, [[[0.0, 0.0]]]),
    ],
)
def test_cam_of_two_channels(
    bias: list[float] | None, options: dict[str, int], expected: list[list[list[float]]]
) -> None:
    """A = (1, 0) in channel 0, (1, 3) in channel 1."""
    clip = torch.tensor([[[[1.0, 0.0]], [[1.0, 3.0]]]])
    net = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(WEIGHT, bias))
    result = explain(net, clip, layer="0", methods=["cam"], **options)  # type: ignore[arg-type]
    assert result.volumes["cam"].tolist() == expected


class Convolved(nn.Module):
    """A head with a 1x1x1 convolution, as in I3D and X3D, before or after the pooling."""

    def __init__(self, *, is_pooled_first: bool, kernel: int = 1) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv3d(3, 5, 3, padding=1), nn.ReLU()
        self.head, self.pool = nn.Conv3d(5, 4, kernel, padding=kernel // 2), nn.AdaptiveAvgPool3d(1)
        self.is_pooled_first = is_pooled_first

    def forward(self, clip: Tensor) -> Tensor:
        features = self.relu(self.conv(clip))
        scores: Tensor = self.head(self.pool(features)) if self.is_pooled_first else self.pool(self.head(features))
        return scores.flatten(1)


@pytest.mark.parametrize("is_pooled_first", [False, True])
def test_heads_with_a_1x1x1_convolution(is_pooled_first: bool) -> None:
    net, clip = seeded(Convolved, is_pooled_first=is_pooled_first), random_clip(2, 3, 2, 5, 5)
    assert isinstance(net, Convolved)
    result = explain(net, clip, layer="relu", methods=("cam", "gradcam"), target=[1, 3])
    features = net.relu(net.conv(clip)).detach()
    expected = torch.einsum("nd,ndthw->nthw", net.head.weight[[1, 3]].detach().flatten(1), features).relu()
    np.testing.assert_allclose(result.volumes["cam"], expected.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.volumes["cam"] / 50, result.volumes["gradcam"], rtol=1e-4, atol=1e-7)


class Deep(nn.Module):
    """Two linear layers of equal width: the shape of the last one's weights is that of a pooled head."""

    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__()
        self.relu, self.hidden, self.out = nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 4)
        with torch.no_grad():
            self.out.weight.mul_(scale)
            self.out.bias.mul_(scale)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.out(self.hidden(self.relu(clip).mean(dim=(2, 3, 4))).relu())
        return scores


REFUSED: dict[str, Callable[[], tuple[nn.Module, str, Tensor]]] = {
    "hidden": lambda: (seeded(HiddenHead), "relu", random_clip(1, 3, 3, 4, 4)),
    "hidden, alike": lambda: (seeded(Deep), "relu", random_clip(2, 3, 2, 4, 4)),
    "hidden, tiny scores": lambda: (seeded(Deep, scale=1e-6), "relu", random_clip(2, 3, 2, 4, 4)),
    "a wider kernel": lambda: (
        seeded(Convolved, is_pooled_first=False, kernel=3),
        "relu",
        random_clip(1, 3, 2, 5, 5),
    ),
    "an earlier layer": lambda: (
        seeded(Convolved, is_pooled_first=True),
        "conv",
        random_clip(1, 3, 2, 5, 5),
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("which", REFUSED)
def test_other_heads_raise(which: str, dtype: torch.dtype) -> None:
    net, layer, clip = REFUSED[which]()
    with pytest.raises(InputError, match="cam needs global average pooling and one linear layer"):
        explain(net.to(dtype), clip.to(dtype), layer=layer, methods=["cam"])
