"""tiny_c3d: a small C3D for the motion set, shipped with vidcam. Its head has hidden layers.

Convolutions with bias and without normalisation, max pooling, and fully connected layers, as in Tran et al.
(arXiv:1412.0767). The input is (N, 3, 16, 64, 64). The target layer `relu4`, the ReLU of the last convolution, returns
(N, 48, 8, 8, 8). Because of the hidden layers the gradient g varies over the grid. So Grad-CAM++ differs from
Grad-CAM+, and Grad-CAM from HiResCAM.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from vidcam.errors import ShapeError
from vidcam.models.specs import TINY_C3D_SPEC

WIDTHS = (12, 32, 48, 48)
"""Channels of the four convolutions."""

HIDDEN = 96
"""Features of fc6 and fc7."""


class TinyC3D(nn.Sequential):
    """Network from clips (N, 3, 16, 64, 64) to logits (N, K). Every layer, each ReLU too, is a separate module."""

    def __init__(self, classes: int = TINY_C3D_SPEC.classes) -> None:
        super().__init__(OrderedDict({**_convolutions(), "flatten": nn.Flatten(), **_head(classes)}))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name in torch
        """Compute the logits of a batch of clips.

        Raises:
            ShapeError: the input is not (N, 3, 16, 64, 64).
        """
        expected = (3, *TINY_C3D_SPEC.input_size)
        if input.ndim != 5 or input.shape[1:] != expected:
            raise ShapeError(f"tiny_c3d takes clips (N, {', '.join(map(str, expected))}), got {tuple(input.shape)}")
        output: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return output


def _convolutions() -> dict[str, nn.Module]:
    first, second, third, fourth = WIDTHS
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv3d(3, first, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2)),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool3d((1, 2, 2)),
        "conv2": nn.Conv3d(first, second, 3, padding=1),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool3d(2),
        "conv3": nn.Conv3d(second, third, 3, padding=1),
        "relu3": nn.ReLU(),
        "conv4": nn.Conv3d(third, fourth, 3, padding=1),
        "relu4": nn.ReLU(),
        "pool4": nn.MaxPool3d((2, 4, 4)),
    }
    for layer in layers.values():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layers


def _head(classes: int) -> dict[str, nn.Module]:
    frames, height, width = TINY_C3D_SPEC.input_size
    cells = (frames // 4) * (height // 32) * (width // 32)
    return {
        "fc6": nn.Linear(WIDTHS[-1] * cells, HIDDEN),
        "relu6": nn.ReLU(),
        "fc7": nn.Linear(HIDDEN, HIDDEN),
        "relu7": nn.ReLU(),
        "fc8": nn.Linear(HIDDEN, classes),
    }
