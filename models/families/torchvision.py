"""Video and image classification models of torchvision. Spec, labels and network come from torchvision's metadata.

Names are torchvision's: 'r3d_18', 'resnet50'. Append weights other than the default after an '@':
'resnet50@IMAGENET1K_V1'. An image network takes one frame at a time (T = 1). Layers are named as in torchvision.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcam.errors import name_not_found
from vidcam.models.entry import ModelEntry
from vidcam.models.families.torchvision_specs import NO_LICENCE, VIDEO_SETTINGS, unit_scaling
from vidcam.models.labels import count_labels, numbered_labels
from vidcam.models.weights.hub import fetch_url, hash_prefix
from vidcam.spec import ModelSpec, TokenGrid
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vidcam.models.weights.checkpoint import State

IMAGE_FPS = Fraction(5)
"""Frames per second of a video on which an image network runs."""

_IMAGE_LAYERS = {
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
"""Target layer of image networks: the ReLU of the last convolution, or the last residual stage.

For other networks the layer is found by a forward pass.
"""

_VIT_DEPTH = {"b": 12, "l": 24, "h": 32}

_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "googlenet": {"aux_logits": True, "transform_input": True, "init_weights": False},
    "inception_v3": {"aux_logits": True, "transform_input": True, "init_weights": False},
}
"""Constructor arguments that torchvision sets only when it loads its weights."""


def names() -> tuple[str, ...]:
    """List torchvision's video and image classification models."""
    from torchvision import models
    from torchvision.models import video

    return (*models.list_models(module=video), *models.list_models(module=models))


def get_weights(name: str) -> Any:
    """Return torchvision's weights enum member for 'resnet50' or 'resnet50@IMAGENET1K_V1'.

    Raises:
        NameNotFoundError: torchvision has no such classification model, or the model has no such weights.
    """
    from torchvision.models import get_model_weights

    architecture, _, version = name.partition("@")
    if architecture not in names():
        raise name_not_found("torchvision model", architecture, names(), "pass a classification model")
    weights_enum = get_model_weights(architecture)
    if not version:
        return weights_enum.DEFAULT
    if version not in weights_enum.__members__:
        versions = tuple(weights_enum.__members__)
        hint = f"available: {', '.join(versions)}"
        raise name_not_found(f"weights of torchvision's {architecture}", version, versions, hint)
    return weights_enum[version]


def entry(name: str, labels: str | Path | Sequence[str] | None = None) -> ModelEntry:
    """Make the entry of any torchvision model, 'resnet50'. This imports torchvision.

    Args:
        name: torchvision's name.
        labels: labels of a network that was trained on other classes, or the file that lists them; None: those of
            torchvision's weights.

    Raises:
        NameNotFoundError: torchvision has no such classification model, or the model has no such weights.
        InputError: the file cannot be read, or has no labels.
    """
    spec_of_weights = spec(name)
    classes = spec_of_weights.classes if labels is None else count_labels(labels)
    if classes == spec_of_weights.classes:
        return entry_of(name, spec_of_weights, hub_file(name))
    return ModelEntry(
        replace(
            spec_of_weights,
            classes=classes,
            dataset="the classes of --labels",
            weights_name="a file of yours, --weights FILE",
            licence="that of the file",
            parameters=0,
            download_bytes=0,
        ),
        build=partial(build, name, classes),
        load=None,
        labels=partial(numbered_labels, classes),
        load_file=partial(load_file, name),
    )


def entry_of(name: str, spec_of_weights: ModelSpec, file: str) -> ModelEntry:
    """Make the entry of a torchvision model from its spec and the name of its weights file in torch.hub's cache."""
    return ModelEntry(
        spec_of_weights,
        build=partial(build, name),
        load=partial(load, name),
        labels=partial(labels, name),
        hub_file=file,
        load_file=partial(load_file, name),
        loads_all=True,
    )


def hub_file(name: str) -> str:
    """Return the name of the weights file of a torchvision model in torch.hub's cache."""
    return str(get_weights(name).url.rpartition("/")[2])


def spec(name: str) -> ModelSpec:
    """Make the spec of a torchvision model from its metadata."""
    weights, architecture = get_weights(name), name.partition("@")[0]
    preset, meta = weights.transforms(), weights.meta
    resize, crop_size = list(preset.resize_size), _crop_size(weights)
    (dataset,) = list(meta["_metrics"])[:1]
    settings = VIDEO_SETTINGS.get(architecture) or _image_settings(architecture, crop_size)
    return ModelSpec(
        name=name if architecture in VIDEO_SETTINGS else f"torchvision:{name}",
        **settings,
        resize=resize[0] if len(resize) == 1 else (resize[0], resize[1]),
        crop_size=crop_size,
        antialias=bool(getattr(preset, "antialias", False)),
        interpolation="bicubic" if preset.interpolation.value == "bicubic" else "bilinear",
        rounded=True,
        scaling=unit_scaling(preset.mean, preset.std),
        classes=len(meta["categories"]),
        dataset=dataset,
        weights_name=f"torchvision {weights.name}",
        licence=meta.get("license", NO_LICENCE),
        recipe=meta["recipe"],
        parameters=meta["num_params"],
        download_bytes=round(meta["_file_size"] * 2**20),
    )


def build(name: str, classes: int | None = None) -> nn.Module:
    """Build the network with random weights; `classes` None: as many classes as torchvision's weights have."""
    from torchvision.models import get_model

    from vidcam.models.families.image import image_network

    architecture = name.partition("@")[0]
    options = _OPTIONS.get(architecture, {})
    if architecture.startswith("vit_"):
        options = {"image_size": _crop_size(get_weights(name))[0]}
    if classes is not None:
        options = {**options, "num_classes": classes}
    network: nn.Module = get_model(architecture, weights=None, **options)
    return network if architecture in VIDEO_SETTINGS else image_network(network)


def labels(name: str) -> tuple[str, ...]:
    """Return the labels of the classes."""
    return tuple(get_weights(name).meta["categories"])


def load(name: str, module: nn.Module, progress: Progress | None) -> str:
    """Load torchvision's weights into a network from `build` and return their provenance."""
    weights = get_weights(name)
    path = fetch_url(weights.url, megabytes=weights.meta["_file_size"] * 2**20 / 1e6, progress=progress)
    load_file(name, module, path)
    return f"torchvision {weights}, sha256 {hash_prefix(path.name)}…"


def load_file(name: str, module: nn.Module, path: Path) -> str:
    """Load a weights file into a network from `build` and return its provenance."""
    from vidcam.models.weights.state import load_weights_file

    return load_weights_file(module, path, name=name, rename=rename_densenet)


def _crop_size(weights: Any) -> tuple[int, int]:
    sides = list(weights.transforms().crop_size)
    return sides[0], sides[-1]


def _image_settings(architecture: str, crop_size: tuple[int, int]) -> dict[str, Any]:
    settings = {"frames": 1, "fps": IMAGE_FPS, "task": "image classification"}
    if architecture.startswith("vit_"):
        _, size, patch = architecture.split("_")
        grid = TokenGrid((crop_size[0] // int(patch), crop_size[1] // int(patch)))
        layer = f"encoder.layers.encoder_layer_{_VIT_DEPTH[size] - 1}.ln_1"
        return {**settings, "layer": layer, "layout": (grid, "frames")}
    layers = (layer for pattern, layer in _IMAGE_LAYERS.items() if re.fullmatch(pattern, architecture))
    return {**settings, "layer": next(layers, None), "layout": "frames"}


def rename_densenet(state: State) -> dict[str, Tensor]:
    """Rename the keys of old DenseNet weights, in which 'norm1' is called 'norm.1'."""
    old_key = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")
    return {old_key.sub(r"\1\2", key): value for key, value in state.items()}
