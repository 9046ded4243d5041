"""Image classifiers of timm on clips of 8 frames, averaged over the frames: 'timm:resnet50', 'timm:resnet50.a1_in1k'.

Size, resize and scaling come from timm's own configuration of the weights.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vidcam.errors import InputError, WeightsError, name_not_found
from vidcam.foreign import first_line
from vidcam.models.entry import ModelEntry
from vidcam.models.extras import import_extra
from vidcam.models.families.torchvision import IMAGE_FPS
from vidcam.models.labels import imagenet, numbered_labels
from vidcam.spec import Layout, ModelSpec, Scaling, TokenGrid
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import nn

FRAMES = 8


def entry(name: str, _labels_of_user: object = None) -> ModelEntry:
    """Make the entry of a classifier. This imports timm; weights are fetched from the hub when they are loaded.

    Raises:
        NameNotFoundError: timm has no such model.
        InputError: timm is missing, or the model does not classify, or resizes in a way that a spec cannot say.
    """
    timm = import_extra("timm", extra="timm", model=f"timm:{name}")
    if not timm.models.is_model(name.partition(".")[0]):
        raise name_not_found("timm model", name, timm.list_models(), "timm.list_models() has all")
    config = timm.models.get_pretrained_cfg(name, allow_unregistered=False)
    if not config.num_classes:
        raise InputError(f"model 'timm:{name}' has no classifier: its weights give features only")
    return ModelEntry(
        _spec(timm, name, config),
        build=partial(_build, timm, name),
        load=partial(_load, name, config) if config.hf_hub_id else None,
        labels=partial(_labels, timm, config),
        load_file=partial(_load_file, name),
        loads_all=True,
    )


def _spec(timm: Any, name: str, config: Any) -> ModelSpec:
    data = timm.data.resolve_data_config(pretrained_cfg=config.to_dict())
    (_, height, width), interpolation = data["input_size"], data["interpolation"]
    resize = (math.floor(height / data["crop_pct"]), math.floor(width / data["crop_pct"]))
    is_squashed = data["crop_mode"] == "squash"
    if interpolation not in ("bilinear", "bicubic") or not (is_squashed or height == width):
        raise InputError(
            f"model 'timm:{name}' takes {interpolation} images of {height} × {width}; load it yourself and pass its "
            f"ModelSpec"
        )
    kind: Literal["bilinear", "bicubic"] = interpolation
    layer, layout = _layer(timm, name)
    mean, std = (tuple(255.0 * value for value in data[key]) for key in ("mean", "std"))
    return ModelSpec(
        name=f"timm:{name}",
        frames=FRAMES,
        fps=IMAGE_FPS,
        resize=resize if is_squashed else resize[0],
        crop_size=(height, width),
        antialias=True,
        interpolation=kind,
        resampler="pillow",
        scaling=Scaling((mean[0], mean[1], mean[2]), (std[0], std[1], std[2])),
        classes=config.num_classes,
        layer=layer,
        layout=layout,
        axes="NTCHW",
        activation="softmax",
        task="image classification",
        weights_name=f"timm {config.architecture}.{config.tag}" if config.tag else "",
        licence=config.license or "none stated",
    )


def _layer(timm: Any, name: str) -> tuple[str | None, tuple[Layout, ...]]:
    """Return the default layer and its layout: a ViT's last norm before attention; of a CNN the last block, by a run.

    The network is built without memory for its weights.
    """
    import torch

    with torch.device("meta"):
        network = timm.create_model(name)
    blocks, embedding = getattr(network, "blocks", None), getattr(network, "patch_embed", None)
    grid, prefixes = getattr(embedding, "grid_size", None), getattr(network, "num_prefix_tokens", None)
    if blocks is not None and grid and prefixes is not None and hasattr(blocks[-1], "norm1"):
        return f"network.blocks.{len(blocks) - 1}.norm1", (TokenGrid(tuple(grid), prefixes), "frames")
    if getattr(network, "output_fmt", None) == "NHWC":
        return f"network.{network.feature_info[-1]['module']}", ("channels-last", "frames")
    return None, ("frames",)


def _build(timm: Any, name: str) -> nn.Module:
    from vidcam.models.families.image import FrameAverage

    return FrameAverage(timm.create_model(name, pretrained=False))


def _labels(timm: Any, config: Any) -> tuple[str, ...]:
    subset = timm.data.infer_imagenet_subset(config.to_dict())
    if subset == "imagenet-1k" or (subset is None and config.num_classes == len(imagenet())):
        return imagenet()
    if subset is None:
        return numbered_labels(config.num_classes)
    info = timm.data.ImageNetInfo(subset)
    return tuple(info.index_to_description(index) for index in range(config.num_classes))


def _load(name: str, config: Any, module: nn.Module, progress: Progress | None) -> str:
    """Fetch the safetensors of timm's weights from the hub, load them and return their provenance."""
    hub = import_extra("huggingface_hub", extra="timm", model=f"timm:{name}")
    if progress is not None:
        progress(f"fetching {config.hf_hub_id}", 0.0, None)
    try:
        path = Path(hub.hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except Exception as exc:  # the hub's, its client's and the disk's
        raise WeightsError(
            f"weights of 'timm:{name}' ({config.hf_hub_id}) cannot be downloaded ({first_line(exc)}); connect to the "
            f"network, or pass --weights FILE"
        ) from exc
    return f"{config.hf_hub_id}, {_load_file(name, module, path)}"


def _load_file(name: str, module: nn.Module, path: Path) -> str:
    """Load a weights file with timm's names into a network from `build` and return its provenance."""
    from vidcam.models.weights.state import load_weights_file

    return load_weights_file(module.get_submodule("network"), path, name=f"timm:{name}")
