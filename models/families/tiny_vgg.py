"""tiny_vgg and tiny_gap: two small image networks for the shape set, shipped with vidcam.

Both have the same convolutions with ReLU and max pooling, as VGG has (arXiv:1409.1556), and differ in their head. That
of `tiny_vgg` has a hidden layer, so that the gradient g varies over the grid, and Grad-CAM++ differs from Grad-CAM+.
That of `tiny_gap` is global average pooling and one linear layer, so that g is the same at every position. The input is
(N, 3, 96, 96), or (N, 3, 1, 96, 96). The target layer `relu4`, the ReLU of the last convolution, returns
(N, 48, 12, 12).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from vidcam.models.families.image import image_network
from vidcam.models.specs import TINY_VGG_SPEC

WIDTHS = (12, 24, 36, 48)
"""Channels of the four convolutions."""

HIDDEN = 64
CLASSES = TINY_VGG_SPEC.classes


def tiny_vgg(*, is_pooled: bool = False) -> nn.Sequential:
    """Build tiny_vgg, or tiny_gap if it is pooled, with random weights. Every layer, each ReLU too, is a module."""
    network = nn.Sequential(OrderedDict({**_convolutions(), **(_pooled() if is_pooled else _hidden())}))
    image_network(network)
    return network


def _convolutions() -> dict[str, nn.Module]:
    first, second, third, fourth = WIDTHS
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(3, first, 5, stride=2, padding=2),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(first, second, 3, padding=1),
        "relu2": nn.ReLU(),
        "pool2": nn.MaxPool2d(2),
        "conv3": nn.Conv2d(second, third, 3, padding=1),
        "relu3": nn.ReLU(),
        "pool3": nn.MaxPool2d(2),
        "conv4": nn.Conv2d(third, fourth, 3, padding=1),
        "relu4": nn.ReLU(),
    }
    for layer in layers.values():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layers


def _hidden() -> dict[str, nn.Module]:
    return {
        "pool4": nn.MaxPool2d(3),
        "flatten": nn.Flatten(),
        "fc5": nn.Linear(WIDTHS[-1] * 4 * 4, HIDDEN),
        "relu5": nn.ReLU(),
        "fc6": nn.Linear(HIDDEN, CLASSES),
    }


def _pooled() -> dict[str, nn.Module]:
    return {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(WIDTHS[-1], CLASSES)}
