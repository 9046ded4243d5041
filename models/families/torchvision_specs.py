"""torchvision's video models on Kinetics-400 as data, readable without torch.

The figures are those of torchvision's own weights metadata, copied so that `vidcam models` need not import torch; a
test compares every one of them with the metadata. What the metadata does not say is stated here: how a clip is
sampled (METHODS of the weights' recipes: 15 frames a second, MViT 7.5, Swin 32 frames), which layer to look at, and
how its output lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal

from vidcam.spec import Layout, ModelSpec, Scaling, TokenGrid

Triple = tuple[float, float, float]

NO_LICENCE = "none stated (torchvision: BSD-3-Clause)"

_TRAINING = "https://github.com/pytorch/vision/tree/main/references/video_classification"


@dataclass(frozen=True, slots=True)
class Published:
    """What torchvision publishes with one set of weights.

    Attributes:
        weights: their name there, 'R3D_18_Weights.KINETICS400_V1'.
        file: name of the file; it ends in the first digits of its SHA-256.
        resize: (height, width) to stretch to, or the length of the shorter side.
        crop_size: (height, width).
        mean: of pixels in 0…1.
        std: likewise.
        parameters: how many numbers.
        mebibytes: size of the file.
        recipe: address of the page about their training.
        dataset: what the labels come from.
        classes: K.
        licence: of the weights.
        antialias: of the resize.
        interpolation: likewise.
    """

    weights: str
    file: str
    resize: tuple[int, int] | int
    crop_size: tuple[int, int]
    mean: Triple
    std: Triple
    parameters: int
    mebibytes: float
    recipe: str
    dataset: str = "Kinetics-400"
    classes: int = 400
    licence: str = NO_LICENCE
    antialias: bool = False
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


@dataclass(frozen=True, slots=True)
class Viewing:
    """How vidcam shows videos to a network and looks into it.

    Attributes:
        frames: T.
        fps: of the slots.
        layer: default target layer; None: found by a run.
        layout: of its output.
        task: what the network answers.
    """

    frames: int
    fps: Fraction
    layer: str | None
    layout: Layout | tuple[Layout, ...] | None = None
    task: str = "action recognition"


def spec_of(name: str, published: Published, viewing: Viewing) -> ModelSpec:
    """The spec of one set of weights."""
    mean, std = (tuple(255.0 * value for value in values) for values in (published.mean, published.std))
    return ModelSpec(
        name=name,
        frames=viewing.frames,
        fps=viewing.fps,
        resize=published.resize,
        crop_size=published.crop_size,
        antialias=published.antialias,
        interpolation=published.interpolation,
        rounded=True,
        scaling=Scaling((mean[0], mean[1], mean[2]), (std[0], std[1], std[2])),
        classes=published.classes,
        layer=viewing.layer,
        layout=viewing.layout,
        task=viewing.task,
        dataset=published.dataset,
        weights_name=f"torchvision {published.weights.rpartition('.')[2]}",
        licence=published.licence,
        recipe=published.recipe,
        parameters=published.parameters,
        download_bytes=round(published.mebibytes * 2**20),
    )


_FIFTEEN = Fraction(15)
_KINETICS = {"mean": (0.43216, 0.394666, 0.37645), "std": (0.22803, 0.22145, 0.216989)}
_RESNET = Viewing(16, _FIFTEEN, "layer4")
_MVIT = Viewing(16, Fraction(15, 2), "blocks.15.norm1", TokenGrid((8, 7, 7)))
_SWIN = Viewing(32, _FIFTEEN, "norm", "channels-last")

VIEWINGS: Mapping[str, Viewing] = MappingProxyType(
    {
        "r3d_18": _RESNET,
        "mc3_18": _RESNET,
        "r2plus1d_18": _RESNET,
        "s3d": Viewing(16, _FIFTEEN, "features.15"),
        "mvit_v1_b": _MVIT,
        "mvit_v2_s": _MVIT,
        "swin3d_t": _SWIN,
        "swin3d_s": _SWIN,
        "swin3d_b": _SWIN,
    }
)
"""torchvision's video models → how they are shown clips; after the last norm of MViT the class token alone is read."""


def _resnet(weights: str, file: str, parameters: int, mebibytes: float) -> Published:
    return Published(
        f"{weights}.KINETICS400_V1",
        file,
        resize=(128, 171),
        crop_size=(112, 112),
        mean=_KINETICS["mean"],
        std=_KINETICS["std"],
        parameters=parameters,
        mebibytes=mebibytes,
        recipe=_TRAINING,
    )


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        "r3d_18": _resnet("R3D_18_Weights", "r3d_18-b3b3357e.pth", 33_371_472, 127.359),
        "mc3_18": _resnet("MC3_18_Weights", "mc3_18-a90a0ba3.pth", 11_695_440, 44.672),
        "r2plus1d_18": _resnet("R2Plus1D_18_Weights", "r2plus1d_18-91a641e6.pth", 31_505_325, 120.318),
        "s3d": Published(
            "S3D_Weights.KINETICS400_V1",
            "s3d-d76dad2f.pth",
            resize=(256, 256),
            crop_size=(224, 224),
            mean=_KINETICS["mean"],
            std=_KINETICS["std"],
            parameters=8_320_048,
            mebibytes=31.972,
            recipe=f"{_TRAINING}#s3d",
        ),
        "mvit_v2_s": Published(
            "MViT_V2_S_Weights.KINETICS400_V1",
            "mvit_v2_s-ae3be167.pth",
            resize=256,
            crop_size=(224, 224),
            mean=(0.45, 0.45, 0.45),
            std=(0.225, 0.225, 0.225),
            parameters=34_537_744,
            mebibytes=131.884,
            recipe="https://github.com/facebookresearch/SlowFast/blob/main/MODEL_ZOO.md",
        ),
        "swin3d_t": Published(
            "Swin3D_T_Weights.KINETICS400_V1",
            "swin3d_t-7615ae03.pth",
            resize=256,
            crop_size=(224, 224),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            parameters=28_158_070,
            mebibytes=121.543,
            recipe="https://github.com/SwinTransformer/Video-Swin-Transformer#kinetics-400",
        ),
    }
)
"""The models that `vidcam models` lists; others of torchvision are read from its metadata when they are named."""

TORCHVISION_SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {name: spec_of(name, published, VIEWINGS[name]) for name, published in PUBLISHED.items()}
)
