"""C3D: eight 3 × 3 × 3 convolutions and three fully connected layers.

Tran, Bourdev, Fergus, Torresani and Paluri, *Learning Spatiotemporal Features with 3D Convolutional Networks*
(arXiv:1412.0767), as in the authors' Caffe code. The input is (N, 3, 16, 112, 112), BGR pixels minus their mean. The
target layer `relu5b`, the ReLU of the last convolution, returns (N, 512, 2, 7, 7). Then `pool5` pads one cell in space
and returns (N, 512, 1, 4, 4). Because of the hidden layers `fc6` and `fc7` the gradient g varies over the grid. So
Grad-CAM++ differs from Grad-CAM+.

It has 79,991,015 parameters with the 487 classes of Sports-1M, and 78,409,573 with the 101 classes of UCF101. MMAction2
states the same number for its C3D.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import Tensor, nn

from vidcam.errors import ShapeError
from vidcam.models.specs import C3D_SPORTS1M_SPEC

WIDTH = 64

POOL5_GRID = (1, 4, 4)
"""Grid (t, h, w) of the input of fc6, which is flattened with channels first."""

CONVOLUTIONS = {"conv1a": 1, "conv2a": 2, "conv3a": 4, "conv3b": 4, "conv4a": 8, "conv4b": 8, "conv5a": 8, "conv5b": 8}
"""Output channels, as multiples of the width."""

_NO_PADDING, _PAD_SPACE = (0, 0, 0), (0, 1, 1)
_POOLS = {
    "conv1a": ((1, 2, 2), _NO_PADDING),
    "conv2a": ((2, 2, 2), _NO_PADDING),
    "conv3b": ((2, 2, 2), _NO_PADDING),
    "conv4b": ((2, 2, 2), _NO_PADDING),
    "conv5b": ((2, 2, 2), _PAD_SPACE),
}
"""(kernel, padding) of the max pooling after a convolution."""


class C3D(nn.Sequential):
    """Network from clips (N, 3, 16, 112, 112) to logits (N, K). Every layer, each ReLU too, is a separate module.

    Args:
        classes: K.
        width: channels of the first convolution. All other layers scale with it. Published weights have 64.
    """

    def __init__(self, classes: int = C3D_SPORTS1M_SPEC.classes, *, width: int = WIDTH) -> None:
        super().__init__(OrderedDict({**_convolutions(width), "flatten": nn.Flatten(), **_head(width, classes)}))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name in torch
        """Compute the logits of a batch of clips.

        Raises:
            ShapeError: the input is not (N, 3, 16, 112, 112).
        """
        expected = (3, *C3D_SPORTS1M_SPEC.input_size)
        if input.ndim != 5 or input.shape[1:] != expected:
            raise ShapeError(f"C3D takes clips (N, {', '.join(map(str, expected))}), got {tuple(input.shape)}")
        output: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return output


def _convolutions(width: int) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    channels = 3
    for name, multiple in CONVOLUTIONS.items():
        stage = name.removeprefix("conv")
        convolution = nn.Conv3d(channels, multiple * width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers |= {name: convolution, f"relu{stage}": nn.ReLU()}
        if name in _POOLS:
            kernel, padding = _POOLS[name]
            layers[f"pool{stage[0]}"] = nn.MaxPool3d(kernel, padding=padding)
        channels = multiple * width
    return layers


def _head(width: int, classes: int) -> dict[str, nn.Module]:
    hidden = 64 * width
    layers: dict[str, nn.Module] = {}
    for number, features in {"6": CONVOLUTIONS["conv5b"] * width * math.prod(POOL5_GRID), "7": hidden}.items():
        layers[f"fc{number}"] = nn.Linear(features, hidden)
        layers[f"relu{number}"] = nn.ReLU()
        layers[f"dropout{number}"] = nn.Dropout(0.5)
    return {**layers, "fc8": nn.Linear(hidden, classes)}
