"""Other tools behind one seam, each used as its own documentation says, and vidcam beside them.

`Tool.prepare(network, layer, method, target)` builds what a user would build once; the callable it returns is what a
user would call on each clip, and gives the map as the tool gives it, as numpy. Runs in .venv-peers only.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

import vidcam
from vidcam.cam.methods import METHODS
from vidcam.cam.saliency import guided_saliency
from vidcam.errors import InputError
from vidcam.maps import upsample_volume

Map = NDArray[np.floating[Any]]
Call = Callable[[Tensor], Map]
Prepare = Callable[[nn.Module, str, str, int], Call]

DEAR = ("softmax", "guided")
"""Parts of the names of methods that need more than one backward pass through the head."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        name: of the package.
        methods: what it offers among those compared, under our names.
        prepare: (network, layer, method, target) → what is called on a clip (1, C, T, H, W).
        gives: where the maps lie: on the layer's grid (t, h, w), or at the input's size (T, H, W).
        upsample: the tool's own way from a grid to a size; None: it has none for volumes.
    """

    name: str
    methods: tuple[str, ...]
    prepare: Prepare
    gives: Literal["grid", "size"]
    upsample: Callable[[Map, tuple[int, ...]], Map] | None

    @property
    def version(self) -> str:
        """As installed."""
        return importlib.metadata.version(self.name)


def cheap_methods(network: nn.Module, layer: str, clip: Tensor) -> tuple[str, ...]:
    """All of vidcam's methods that one forward and one backward pass serve, as far as the layer admits them."""
    names = [name for name in METHODS if not any(part in name for part in DEAR)]
    return tuple(name for name in names if _admits(network, layer, clip, name))


def _admits(network: nn.Module, layer: str, clip: Tensor, method: str) -> bool:
    try:
        vidcam.explain(network, clip, layer=layer, methods=[method], target=0)
    except InputError:
        return False
    return True


def _vidcam(network: nn.Module, layer: str, method: str, target: int) -> Call:
    if method == "guided":
        return lambda clip: guided_saliency(network, clip, target)
    return lambda clip: vidcam.explain(network, clip, layer=layer, methods=[method], target=target).volumes[method]


def _grad_cam(network: nn.Module, layer: str, method: str, target: int) -> Call:
    package: Any = importlib.import_module("pytorch_grad_cam")
    if method == "guided":
        guided = package.GuidedBackpropReLUModel(model=network, device="cpu")
        return lambda clip: np.asarray(guided(clip.clone(), target_category=target))
    output: Any = importlib.import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget
    kinds = {"gradcam": "GradCAM", "gradcam++": "GradCAMPlusPlus", "layercam": "LayerCAM", "hirescam": "HiResCAM"}
    cam = getattr(package, kinds[method])(model=network, target_layers=[network.get_submodule(layer)])
    return lambda clip: np.asarray(cam(input_tensor=clip, targets=[output(target)] * clip.shape[0]))


def _torchcam(network: nn.Module, layer: str, method: str, target: int) -> Call:
    kinds = {"gradcam": "GradCAM", "gradcam++": "GradCAMpp", "layercam": "LayerCAM"}
    package: Any = importlib.import_module("torchcam.methods")
    extractor = getattr(package, kinds[method])(network, network.get_submodule(layer))
    return lambda clip: np.asarray(extractor(target, network(clip))[0].numpy())


def _captum(network: nn.Module, layer: str, method: str, target: int) -> Call:
    package: Any = importlib.import_module("captum.attr")
    if method == "guided":
        guided = package.GuidedBackprop(network)
        return lambda clip: np.asarray(guided.attribute(clip.clone().requires_grad_(), target=target).detach())
    cam = package.LayerGradCam(network, network.get_submodule(layer))
    return lambda clip: np.asarray(cam.attribute(clip, target=target, relu_attributions=True)[:, 0].detach())


def _medcam(network: nn.Module, layer: str, method: str, target: int) -> Call:
    package: Any = importlib.import_module("medcam.medcam_inject")
    backend = {"gradcam": "gcam", "gradcam++": "gcampp", "guided": "gbp"}[method]
    injected = package.inject(network, backend=backend, layer=layer, label=target)

    def call(clip: Tensor) -> Map:
        injected(clip.clone())
        return np.asarray(injected.get_attention_map()[:, 0])

    return call


def _splines(volume: Map, size: tuple[int, ...]) -> Map:
    """grad-cam's: min-max, cubic splines, what they overshoot below zero cut off, min-max."""
    scale: Any = importlib.import_module("pytorch_grad_cam.utils.image").scale_cam_image
    return np.asarray(scale(np.maximum(scale(volume[None], size[::-1]), 0))[0])


def _captum_interpolate(volume: Map, size: tuple[int, ...]) -> Map:
    return _interpolated(importlib.import_module("captum.attr").LayerAttribution.interpolate, volume, size)


def _medcam_interpolate(volume: Map, size: tuple[int, ...]) -> Map:
    return _interpolated(importlib.import_module("medcam.medcam_utils").interpolate, volume, size)


def _interpolated(function: Any, volume: Map, size: tuple[int, ...]) -> Map:
    import torch

    return np.asarray(function(torch.as_tensor(volume)[None, None], size)[0, 0])


TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            Tool("vidcam", (*METHODS, "guided"), _vidcam, "grid", upsample_volume),
            Tool("grad-cam", ("gradcam", "gradcam++", "layercam", "hirescam", "guided"), _grad_cam, "size", _splines),
            Tool("torchcam", ("gradcam", "gradcam++", "layercam"), _torchcam, "grid", None),
            Tool("captum", ("gradcam", "guided"), _captum, "grid", _captum_interpolate),
            Tool("medcam", ("gradcam", "gradcam++", "guided"), _medcam, "grid", _medcam_interpolate),
        )
    }
)
