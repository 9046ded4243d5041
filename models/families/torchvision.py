"""torchvision's classification models, of videos and of images: spec, labels and network from its own metadata.

A name is torchvision's own: 'r3d_18', 'resnet50'; 'resnet50@IMAGENET1K_V1' takes other weights than its default ones.
An image network is shown one frame at a time (T = 1); its layers are named as in torchvision.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.errors import name_not_found
from vidcam.models.families.torchvision_specs import NO_LICENCE, VIEWINGS, Published, Viewing, spec_of
from vidcam.models.weights.hub import fetched, stated_digits
from vidcam.spec import ModelSpec, TokenGrid
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vidcam.models.weights.checkpoint import State

IMAGE_FPS = Fraction(5)
"""Frames of a video that an image network is shown each second."""

_LAYERS = {
    r"(wide_)?resnex?t.*": "layer4",
    r"alexnet": "features.11",
    r"vgg11": "features.19",
    r"vgg13": "features.23",
    r"vgg16": "features.29",
    r"vgg19": "features.35",
    r"vgg11_bn": "features.27",
    r"vgg13_bn": "features.33",
    r"vgg16_bn": "features.42",
    r"vgg19_bn": "features.51",
}
"""Image networks → the last convolution's ReLU or the last residual stage; others' are found by a run."""

_VIT_DEPTH = {"b": 12, "l": 24, "h": 32}

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "googlenet": {"aux_logits": True, "transform_input": True, "init_weights": False},
    "inception_v3": {"aux_logits": True, "transform_input": True, "init_weights": False},
}
"""What torchvision's published weights go with, where it is not the default without weights."""


def names() -> tuple[str, ...]:
    """Torchvision's models that classify videos or images and have weights."""
    from torchvision import models
    from torchvision.models import video

    return (*models.list_models(module=video), *models.list_models(module=models))


def weights_of(name: str) -> Any:
    """Torchvision's entry of the weights of 'resnet50' or 'resnet50@IMAGENET1K_V1'.

    Raises:
        NameNotFoundError: torchvision has no such model, or the model no such weights.
    """
    from torchvision.models import get_model_weights

    plain, _, variant = name.partition("@")
    if plain not in names():
        raise name_not_found("torchvision model", plain, names(), "pass the name of one that classifies")
    found = get_model_weights(plain)
    if not variant:
        return found.DEFAULT
    if variant not in found.__members__:
        known = tuple(found.__members__)
        raise name_not_found(f"weights of torchvision's {plain}", variant, known, f"it has {', '.join(known)}")
    return found[variant]


def published(name: str) -> Published:
    """Torchvision's metadata of a model's weights."""
    weights = weights_of(name)
    preset, meta = weights.transforms(), weights.meta
    resize, crop = list(preset.resize_size), list(preset.crop_size)
    (accuracies,) = list(meta["_metrics"])[:1]
    return Published(
        weights=str(weights),
        file=weights.url.rpartition("/")[2],
        resize=resize[0] if len(resize) == 1 else (resize[0], resize[1]),
        crop_size=(crop[0], crop[-1]),
        mean=(preset.mean[0], preset.mean[1], preset.mean[2]),
        std=(preset.std[0], preset.std[1], preset.std[2]),
        parameters=meta["num_params"],
        mebibytes=meta["_file_size"],
        recipe=meta["recipe"],
        dataset=accuracies,
        classes=len(meta["categories"]),
        licence=meta.get("license", NO_LICENCE),
        antialias=bool(getattr(preset, "antialias", False)),
        interpolation="bicubic" if preset.interpolation.value == "bicubic" else "bilinear",
    )


def spec(name: str) -> ModelSpec:
    """The spec of a model of torchvision, from its metadata."""
    stated, plain = published(name), name.partition("@")[0]
    viewing = VIEWINGS.get(plain) or _image_viewing(plain, stated.crop_size)
    return spec_of(name if plain in VIEWINGS else f"torchvision:{name}", stated, viewing)


def build(name: str) -> nn.Module:
    """The network with random weights."""
    from torchvision.models import get_model

    from vidcam.models.families.image import image_network

    plain = name.partition("@")[0]
    options = {"image_size": published(name).crop_size[0]} if plain.startswith("vit_") else _OPTIONS.get(plain, {})
    network: nn.Module = get_model(plain, weights=None, **options)
    return network if plain in VIEWINGS else image_network(network)


def labels(name: str) -> tuple[str, ...]:
    """Names of the classes."""
    return tuple(weights_of(name).meta["categories"])


def load(name: str, module: nn.Module, progress: Progress | None) -> str:
    """Fill a network from `build` with torchvision's weights; returns their provenance."""
    weights = weights_of(name)
    path = fetched(weights.url, megabytes=weights.meta["_file_size"] * 2**20 / 1e6, progress=progress)
    load_file(name, module, path)
    return f"torchvision {weights}, sha256 {stated_digits(path.name)}…"


def load_file(name: str, module: nn.Module, path: Path) -> str:
    """Fill a network from `build` with weights in a file; returns their provenance."""
    from vidcam.models.weights.state import fill_from_file

    return fill_from_file(module, path, name=name, rename=renamed)


def _image_viewing(name: str, crop_size: tuple[int, int]) -> Viewing:
    task = "image classification"
    if name.startswith("vit_"):
        _, size, patch = name.split("_")
        grid = TokenGrid((crop_size[0] // int(patch), crop_size[1] // int(patch)))
        layer = f"encoder.layers.encoder_layer_{_VIT_DEPTH[size] - 1}.ln_1"
        return Viewing(1, IMAGE_FPS, layer, (grid, "frames"), task)
    found = (layer for pattern, layer in _LAYERS.items() if re.fullmatch(pattern, name))
    return Viewing(1, IMAGE_FPS, next(found, None), "frames", task)


def renamed(state: State) -> dict[str, Tensor]:
    """DenseNet's weights were saved when 'norm1' was called 'norm.1'."""
    old = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")
    return {old.sub(r"\1\2", key): value for key, value in state.items()}
