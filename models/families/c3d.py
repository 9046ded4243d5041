"""C3D, the network of eight 3 × 3 × 3 convolutions and three fully connected layers.

Tran, Bourdev, Fergus, Torresani and Paluri, *Learning Spatiotemporal Features with 3D Convolutional Networks*
(arXiv:1412.0767), as in the authors' Caffe code. Input (N, 3, 16, 112, 112), BGR in pixels minus their mean. The last
convolution with its ReLU, `relu5b`, is (N, 512, 2, 7, 7); `pool5` pads it by a cell in space, to (N, 512, 1, 4, 4).
The hidden layers `fc6` and `fc7` let g vary over the grid: here Grad-CAM++ and Grad-CAM+ differ.

79,991,015 parameters with the 487 classes of Sports-1M. With the 101 of UCF101 78,409,573, the figure that MMAction2
states for its own C3D.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import Tensor, nn

from vidcam.errors import ShapeError
from vidcam.models.specs import C3D_SPORTS1M_SPEC

WIDTH = 64

POOL5_GRID = (1, 4, 4)
"""(t, h, w) of what fc6 reads, channel by channel."""

CONVOLUTIONS = {"conv1a": 1, "conv2a": 2, "conv3a": 4, "conv3b": 4, "conv4a": 8, "conv4b": 8, "conv5a": 8, "conv5b": 8}
"""Channels, in units of the width."""

_NO_PADDING, _IN_SPACE = (0, 0, 0), (0, 1, 1)
_POOLS = {
    "conv1a": ((1, 2, 2), _NO_PADDING),
    "conv2a": ((2, 2, 2), _NO_PADDING),
    "conv3b": ((2, 2, 2), _NO_PADDING),
    "conv4b": ((2, 2, 2), _NO_PADDING),
    "conv5b": ((2, 2, 2), _IN_SPACE),
}
"""(kernel, padding) of the maximum after a convolution."""


class C3D(nn.Sequential):
    """The network: clips (N, 3, 16, 112, 112) to logits (N, K). Every layer is a module of its own, ReLUs included.

    Args:
        classes: K.
        width: channels of the first convolution; all other layers grow and shrink with it. Published weights have 64.
    """

    def __init__(self, classes: int = C3D_SPORTS1M_SPEC.classes, *, width: int = WIDTH) -> None:
        super().__init__(OrderedDict({**_convolutions(width), "flatten": nn.Flatten(), **_head(width, classes)}))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name in torch
        """Logits of a batch of clips.

        Raises:
            ShapeError: not (N, 3, 16, 112, 112).
        """
        expected = (3, *C3D_SPORTS1M_SPEC.input_size)
        if input.ndim != 5 or input.shape[1:] != expected:
            raise ShapeError(
                f"C3D takes clips (N, {', '.join(map(str, expected))}), got {tuple(input.shape)}; its fully connected "
                "layers fit this size alone"
            )
        output: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return output


def _convolutions(width: int) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    channels = 3
    for name, units in CONVOLUTIONS.items():
        stage = name.removeprefix("conv")
        convolution = nn.Conv3d(channels, units * width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers |= {name: convolution, f"relu{stage}": nn.ReLU()}
        if name in _POOLS:
            kernel, padding = _POOLS[name]
            layers[f"pool{stage[0]}"] = nn.MaxPool3d(kernel, padding=padding)
        channels = units * width
    return layers


def _head(width: int, classes: int) -> dict[str, nn.Module]:
    hidden = 64 * width
    layers: dict[str, nn.Module] = {}
    for name, features in {"6": CONVOLUTIONS["conv5b"] * width * math.prod(POOL5_GRID), "7": hidden}.items():
        layers[f"fc{name}"] = nn.Linear(features, hidden)
        layers[f"relu{name}"] = nn.ReLU()
        layers[f"dropout{name}"] = nn.Dropout(0.5)
    return {**layers, "fc8": nn.Linear(hidden, classes)}
