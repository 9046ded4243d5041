"""The tables of both papers, as data: Grad-CAM++ (GC++, arXiv:1710.11063) and its critique (EQ, arXiv:2205.10838)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Data = Literal["ImageNet", "VOC", "videos"]


@dataclass(frozen=True, slots=True)
class Shares:
    """A table of GC++ with Average Drop, Increase in Confidence and Win %.

    Attributes:
        number: of the table.
        data: kind of the data set.
        subject: data set and network.
        network: the network, as `--model` names it.
        drop: Average Drop % of `method`, and of gradcam; lower is better.
        increase: % Increase in Confidence of both; higher is better.
        win: Win % of both.
        method: the method that is compared with gradcam.
    """

    number: int
    data: Data
    subject: str
    network: str
    drop: tuple[float, float]
    increase: tuple[float, float]
    win: tuple[float, float]
    method: str = "gradcam++"

    @property
    def title(self) -> str:
        """Name of the row: 'table 1: ImageNet, VGG-16'."""
        return f"table {self.number}: {self.subject}"


_VGG, _ALEXNET, _RESNET = "torchvision:vgg16", "torchvision:alexnet", "torchvision:resnet50"

SHARES = (
    Shares(1, "ImageNet", "ImageNet, VGG-16", _VGG, (36.84, 46.56), (17.05, 13.42), (70.72, 29.28)),
    Shares(2, "VOC", "VOC 2007, VGG-16", _VGG, (19.53, 28.54), (18.96, 21.43), (61.47, 39.44)),
    Shares(6, "videos", "Sports-1M, C3D, 3,000 videos", "c3d_sports1m", (59.79, 95.26), (6.68, 0.84), (94.09, 5.91)),
    Shares(8, "ImageNet", "ImageNet, AlexNet", _ALEXNET, (62.75, 82.86), (8.24, 3.16), (86.56, 13.44)),
    Shares(9, "VOC", "VOC 2007, AlexNet", _ALEXNET, (29.16, 45.82), (19.76, 14.38), (72.79, 27.21)),
    Shares(10, "ImageNet", "ImageNet, ResNet-50", _RESNET, (28.90, 30.36), (22.16, 22.11), (60.51, 39.49)),
    Shares(11, "VOC", "VOC 2007, ResNet-50", _RESNET, (16.19, 20.86), (19.52, 21.99), (58.61, 41.39)),
)
"""GC++ 4.1, 6.2 and A.1. ImageNet: validation set of ILSVRC 2012; VOC: validation set, networks trained on its classes.

The shares of table 2 add up to 100.91.
"""

SIGNED = Shares(
    7, "VOC", "VOC 2007, VGG-16", _VGG, (32.43, 28.54), (19.12, 21.43), (26.09, 73.91), method="gradcam++signed"
)
"""GC++ 7.1: the ablation that keeps negative gradients."""

LOCALIZATION: Mapping[str, tuple[float, float]] = {"0": (0.34, 0.33), "0.25": (0.38, 0.28), "0.5": (0.28, 0.16)}
"""GC++ table 3: δ → mean Loc(δ) of gradcam++ and gradcam, for each label and image; VOC 2012 validation set, VGG-16."""

Ratio = tuple[float, float, float]
"""Relative performance, and mean and standard deviation of its log."""

RATIOS: Mapping[tuple[str, str], tuple[Ratio, Ratio]] = {
    ("gradcam++", "gradcam"): ((1.24, 0.21, 0.64), (1.27, 0.24, 0.68)),
    ("gradcam+", "gradcam"): ((1.16, 0.15, 0.66), (1.25, 0.22, 0.68)),
    ("gradcam++", "gradcam+"): ((1.06, 0.06, 0.41), (1.01, 0.01, 0.11)),
}
"""EQ tables 1 and 2: of pre- and of post-softmax maps; 4,219 images of ImageNetV2, predicted correctly and surely."""

OTHERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "GC++ 4.2: trust of 13 people in the maps of 250 images (score of 250)": (
        ("gradcam++", "109.69"),
        ("gradcam", "56.08"),
        ("same", "84.23"),
    ),
    "GC++ table 4: distillation on CIFAR-10, test error in %": (
        ("cross-entropy", "6.78"),
        ("with maps of gradcam++", "6.74"),
        ("with maps of gradcam", "6.86"),
        ("cross-entropy and KD", "5.68"),
        ("KD with maps of gradcam++", "5.56"),
        ("KD with maps of gradcam", "5.8"),
    ),
    "GC++ table 5: distillation on VOC 2007, mAP": (
        ("with maps of gradcam++", "0.42"),
        ("cross-entropy and KD", "0.34"),
        ("cross-entropy", "0.31"),
    ),
}
"""Tables that need people or the training of students."""
