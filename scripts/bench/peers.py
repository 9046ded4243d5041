"""Other tools and vidcam behind one interface, each used as its documentation shows.

`Tool.prepare(network, layer, method, target)` does what a user does once. The function that it returns is called on
each clip and returns the tool's own map as a NumPy array.
"""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

import vidcam
from scripts.library import METHODS, guided_saliency

Map = NDArray[np.floating[Any]]
Call = Callable[[Tensor], Map]
Prepare = Callable[[nn.Module, str, str, int], Call]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        name: name of the package.
        methods: its methods among those compared, by vidcam's names.
        prepare: (network, layer, method, target) → function of a clip (1, C, T, H, W) to the map (1, t, h, w).
        enlarge: how the tool resizes a map to the clip's size (T, H, W), if it returns no other maps.
    """

    name: str
    methods: tuple[str, ...]
    prepare: Prepare
    enlarge: Callable[[Map, tuple[int, ...]], Map] | None = None

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {importlib.metadata.version(self.name)}"

    def call_on(self, network: nn.Module, layer: str, method: str, target: int = 0) -> Call:
        """Prepare a copy of the network, as some tools leave hooks on it, and ignore warnings."""
        call = self.prepare(copy.deepcopy(network), layer, method, target)

        def quietly(clip: Tensor) -> Map:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return call(clip)

        return quietly


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


def _splines(volume: Map, size: tuple[int, ...]) -> Map:
    """Enlarge as grad-cam: min-max, cubic splines, negative values to zero, min-max."""
    scale: Any = importlib.import_module("pytorch_grad_cam.utils.image").scale_cam_image
    return np.asarray(scale(np.maximum(scale(volume[None], size[::-1]), 0))[0])


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
    if method == "integrated-gradients":
        path = package.IntegratedGradients(network)
        return lambda clip: np.asarray(path.attribute(clip.clone(), target=target).detach())
    if method == "occlusion":
        boxes = {"sliding_window_shapes": (3, 4, 16, 16), "strides": (3, 4, 16, 16)}
        return lambda clip: np.asarray(package.Occlusion(network).attribute(clip, target=target, **boxes).detach())
    cam = package.LayerGradCam(network, network.get_submodule(layer))
    return lambda clip: np.asarray(cam.attribute(clip, target=target, relu_attributions=True)[:, 0].detach())


def captum_path(network: nn.Module, clip: Tensor, target: int, steps: int) -> Map:
    """Integrated gradients of captum, four points of the path at once."""
    package: Any = importlib.import_module("captum.attr")
    path = package.IntegratedGradients(network)
    return np.asarray(path.attribute(clip, target=target, n_steps=steps, internal_batch_size=4).detach())


def _medcam(network: nn.Module, layer: str, method: str, target: int) -> Call:
    package: Any = importlib.import_module("medcam.medcam_inject")
    backend = {"gradcam": "gcam", "gradcam++": "gcampp", "guided": "gbp"}[method]
    injected = package.inject(network, backend=backend, layer=layer, label=target)

    def call(clip: Tensor) -> Map:
        injected(clip.clone())
        return np.asarray(injected.get_attention_map()[:, 0])

    return call


TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            Tool("vidcam", (*METHODS, "guided"), _vidcam),
            Tool("grad-cam", ("gradcam", "gradcam++", "layercam", "hirescam", "guided"), _grad_cam, _splines),
            Tool("torchcam", ("gradcam", "gradcam++", "layercam"), _torchcam),
            Tool("captum", ("gradcam", "guided", "integrated-gradients", "occlusion"), _captum),
            Tool("medcam", ("gradcam", "gradcam++", "guided"), _medcam),
        )
    }
)


def installed_peers() -> list[Tool]:
    """The other tools that are installed."""
    names = {distribution.metadata["Name"].casefold() for distribution in importlib.metadata.distributions()}
    return [tool for tool in TOOLS.values() if tool.name != "vidcam" and tool.name in names]
