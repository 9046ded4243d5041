"""Specs of torchvision's video models on Kinetics-400, readable without importing torch.

The numbers are copied from torchvision's weights metadata, so that `vidcam models` does not import torch. A test
compares each of them with the metadata. Three settings are not in the metadata and are defined here: the sampling of
clips, the target layer and the layout of its output. The sampling is that of the training recipes: 15 frames per
second, 7.5 for MViT, 32 frames for Swin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from vidcam.spec import ModelSpec, Scaling, TokenGrid

NO_LICENCE = "none stated (torchvision: BSD-3-Clause)"

_TRAINING = "https://github.com/pytorch/vision/tree/main/references/video_classification"

_RESNET = {"frames": 16, "fps": Fraction(15), "layer": "layer4"}
_MVIT = {"frames": 16, "fps": Fraction(15, 2), "layer": "blocks.15.norm1", "layout": TokenGrid((8, 7, 7))}
_SWIN = {"frames": 32, "fps": Fraction(15), "layer": "norm", "layout": "channels-last"}

VIDEO_SETTINGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "r3d_18": _RESNET,
        "mc3_18": _RESNET,
        "r2plus1d_18": _RESNET,
        "s3d": {**_RESNET, "layer": "features.15"},
        "mvit_v1_b": _MVIT,
        "mvit_v2_s": _MVIT,
        "swin3d_t": _SWIN,
        "swin3d_s": _SWIN,
        "swin3d_b": _SWIN,
    }
)
"""Fields of the specs of torchvision's video models that its metadata lacks.

The layer of MViT is the first norm of its last block. After the last norm only the class token is used.
"""


def unit_scaling(mean: Sequence[float], std: Sequence[float]) -> Scaling:
    """Return the scaling by a mean and a standard deviation of pixels in [0, 1]."""
    red, green, blue = (255.0 * value for value in mean)
    return Scaling((red, green, blue), (255.0 * std[0], 255.0 * std[1], 255.0 * std[2]))


_KINETICS: Mapping[str, Any] = {
    "rounded": True,
    "classes": 400,
    "dataset": "Kinetics-400",
    "weights_name": "torchvision KINETICS400_V1",
    "licence": NO_LICENCE,
}
_R3D_18 = ModelSpec(
    name="r3d_18",
    **VIDEO_SETTINGS["r3d_18"],
    **_KINETICS,
    resize=(128, 171),
    crop_size=(112, 112),
    scaling=unit_scaling((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    recipe=_TRAINING,
    parameters=33_371_472,
    download_bytes=133_545_591,
)

TORCHVISION_SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            _R3D_18,
            replace(_R3D_18, name="mc3_18", parameters=11_695_440, download_bytes=46_841_987),
            replace(_R3D_18, name="r2plus1d_18", parameters=31_505_325, download_bytes=126_162_567),
            replace(
                _R3D_18,
                name="s3d",
                **VIDEO_SETTINGS["s3d"],
                resize=(256, 256),
                crop_size=(224, 224),
                recipe=f"{_TRAINING}#s3d",
                parameters=8_320_048,
                download_bytes=33_525_072,
            ),
            ModelSpec(
                name="mvit_v2_s",
                **VIDEO_SETTINGS["mvit_v2_s"],
                **_KINETICS,
                resize=256,
                crop_size=(224, 224),
                scaling=unit_scaling((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
                recipe="https://github.com/facebookresearch/SlowFast/blob/main/MODEL_ZOO.md",
                parameters=34_537_744,
                download_bytes=138_290_397,
            ),
            ModelSpec(
                name="swin3d_t",
                **VIDEO_SETTINGS["swin3d_t"],
                **_KINETICS,
                resize=256,
                crop_size=(224, 224),
                scaling=unit_scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                recipe="https://github.com/SwinTransformer/Video-Swin-Transformer#kinetics-400",
                parameters=28_158_070,
                download_bytes=127_447_073,
            ),
        )
    }
)
"""Specs of the models that `vidcam models` lists. For other models they are made from torchvision's metadata."""

HUB_FILES: Mapping[str, str] = MappingProxyType(
    {
        "r3d_18": "r3d_18-b3b3357e.pth",
        "mc3_18": "mc3_18-a90a0ba3.pth",
        "r2plus1d_18": "r2plus1d_18-91a641e6.pth",
        "s3d": "s3d-d76dad2f.pth",
        "mvit_v2_s": "mvit_v2_s-ae3be167.pth",
        "swin3d_t": "swin3d_t-7615ae03.pth",
    }
)
"""Names of their weights files, which end in the first digits of the file's SHA-256."""
