"""Specs of torchvision's video models on Kinetics-400, readable without importing torch.

The numbers are copied from torchvision's weights metadata, so that `vidcam models` does not import torch. A test
compares each of them with the metadata. Three settings are not in the metadata and are defined here: the sampling of
clips, the target layer and the layout of its output. The sampling is that of the training recipes: 15 frames per
second, 7.5 for MViT, 32 frames for Swin.
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
class WeightsMetadata:
    """Metadata that torchvision publishes for one set of weights.

    Attributes:
        weights: torchvision's name, 'R3D_18_Weights.KINETICS400_V1'.
        file: file name, which ends in the first digits of the file's SHA-256.
        resize: (height, width) to resize to, or the length of the shorter side.
        crop_size: (height, width) of the centre crop.
        mean: RGB mean of pixels in [0, 1].
        std: RGB standard deviation of pixels in [0, 1].
        parameters: number of parameters.
        mebibytes: size of the file.
        recipe: address of the training recipe.
        dataset: data set of the labels.
        classes: K.
        licence: licence of the weights.
        antialias: whether resizing is antialiased.
        interpolation: interpolation of resizing.
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
class SpecSettings:
    """The fields of a spec that torchvision's metadata lacks.

    Attributes:
        frames: frames per clip, T.
        fps: frames per second of a clip.
        layer: default target layer; None: found by a forward pass.
        layout: layout of the layer's output.
        task: the network's task.
    """

    frames: int
    fps: Fraction
    layer: str | None
    layout: Layout | tuple[Layout, ...] | None = None
    task: str = "action recognition"


def make_spec(name: str, metadata: WeightsMetadata, settings: SpecSettings) -> ModelSpec:
    """Make the spec of one set of weights."""
    mean, std = (tuple(255.0 * value for value in values) for values in (metadata.mean, metadata.std))
    return ModelSpec(
        name=name,
        frames=settings.frames,
        fps=settings.fps,
        resize=metadata.resize,
        crop_size=metadata.crop_size,
        antialias=metadata.antialias,
        interpolation=metadata.interpolation,
        rounded=True,
        scaling=Scaling((mean[0], mean[1], mean[2]), (std[0], std[1], std[2])),
        classes=metadata.classes,
        layer=settings.layer,
        layout=settings.layout,
        task=settings.task,
        dataset=metadata.dataset,
        weights_name=f"torchvision {metadata.weights.rpartition('.')[2]}",
        licence=metadata.licence,
        recipe=metadata.recipe,
        parameters=metadata.parameters,
        download_bytes=round(metadata.mebibytes * 2**20),
    )


_FIFTEEN = Fraction(15)
_KINETICS = {"mean": (0.43216, 0.394666, 0.37645), "std": (0.22803, 0.22145, 0.216989)}
_RESNET = SpecSettings(16, _FIFTEEN, "layer4")
_MVIT = SpecSettings(16, Fraction(15, 2), "blocks.15.norm1", TokenGrid((8, 7, 7)))
_SWIN = SpecSettings(32, _FIFTEEN, "norm", "channels-last")

VIDEO_SETTINGS: Mapping[str, SpecSettings] = MappingProxyType(
    {
        "r3d_18": _RESNET,
        "mc3_18": _RESNET,
        "r2plus1d_18": _RESNET,
        "s3d": SpecSettings(16, _FIFTEEN, "features.15"),
        "mvit_v1_b": _MVIT,
        "mvit_v2_s": _MVIT,
        "swin3d_t": _SWIN,
        "swin3d_s": _SWIN,
        "swin3d_b": _SWIN,
    }
)
"""Settings of torchvision's video models.

The layer of MViT is the first norm of its last block. After the last norm only the class token is used.
"""


def _resnet(weights: str, file: str, parameters: int, mebibytes: float) -> WeightsMetadata:
    return WeightsMetadata(
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


WEIGHTS_METADATA: Mapping[str, WeightsMetadata] = MappingProxyType(
    {
        "r3d_18": _resnet("R3D_18_Weights", "r3d_18-b3b3357e.pth", 33_371_472, 127.359),
        "mc3_18": _resnet("MC3_18_Weights", "mc3_18-a90a0ba3.pth", 11_695_440, 44.672),
        "r2plus1d_18": _resnet("R2Plus1D_18_Weights", "r2plus1d_18-91a641e6.pth", 31_505_325, 120.318),
        "s3d": WeightsMetadata(
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
        "mvit_v2_s": WeightsMetadata(
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
        "swin3d_t": WeightsMetadata(
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
"""Metadata of the models that `vidcam models` lists. For other models it is read from torchvision on loading."""

TORCHVISION_SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {name: make_spec(name, metadata, VIDEO_SETTINGS[name]) for name, metadata in WEIGHTS_METADATA.items()}
)
