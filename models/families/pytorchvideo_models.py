"""Video networks of pytorchvideo's hub on Kinetics-400: 'pytorchvideo:slow_r50'. Weights are the user's file.

pytorchvideo publishes pickles, which vidcam does not fetch. `--weights FILE` reads one without running code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from vidcam.errors import name_not_found
from vidcam.models.entry import ModelEntry
from vidcam.models.extras import import_extra
from vidcam.models.labels import kinetics400
from vidcam.spec import Layout, ModelSpec, Scaling, TokenGrid

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class _Sampling:
    """How pytorchvideo's model zoo samples and sizes the clips of a network.

    Attributes:
        frames: T.
        stride: source frames, of 30 a second, from one frame of a clip to the next.
        crop: side of the central crop, pixels.
        resize: length of the shorter side, pixels.
        slow: how many times fewer frames the slow pathway of SlowFast sees; 0: one pathway.
        layer: default layer; None: found by a forward pass.
        layout: layout of the layer's output.
    """

    frames: int
    stride: int
    crop: int = 256
    resize: int = 256
    slow: int = 0
    layer: str | None = None
    layout: Layout | None = None


_SAMPLING: Mapping[str, _Sampling] = MappingProxyType(
    {
        "c2d_r50": _Sampling(8, 8),
        "i3d_r50": _Sampling(8, 8),
        "slow_r50": _Sampling(8, 8),
        "slowfast_r50": _Sampling(32, 2, slow=4),
        "slowfast_r101": _Sampling(32, 2, slow=4),
        "slowfast_16x8_r101_50_50": _Sampling(64, 2, slow=4),
        "csn_r101": _Sampling(32, 2),
        "r2plus1d_r50": _Sampling(16, 4),
        "x3d_xs": _Sampling(4, 12, 182, 182),
        "x3d_s": _Sampling(13, 6, 182, 182),
        "x3d_m": _Sampling(16, 5),
        "x3d_l": _Sampling(16, 5, 356, 356),
        "mvit_base_16x4": _Sampling(16, 4, 224, layer="blocks.15.norm1", layout=TokenGrid((8, 7, 7))),
        "mvit_base_32x3": _Sampling(32, 3, 224, layer="blocks.15.norm1", layout=TokenGrid((16, 7, 7))),
    }
)


def entry(name: str, _labels_of_user: object = None) -> ModelEntry:
    """Make the entry of a network of pytorchvideo's hub. The package is imported when the network is built.

    Raises:
        NameNotFoundError: no video network has this name.
    """
    if name not in _SAMPLING:
        raise name_not_found("pytorchvideo model", name, _SAMPLING, f"available: {', '.join(_SAMPLING)}")
    return ModelEntry(
        _spec(name, _SAMPLING[name]),
        build=partial(_build, name),
        load=None,
        labels=kinetics400,
        load_file=partial(_load_file, name),
    )


def _spec(name: str, sampling: _Sampling) -> ModelSpec:
    return ModelSpec(
        name=f"pytorchvideo:{name}",
        frames=sampling.frames,
        fps=Fraction(30, sampling.stride),
        resize=sampling.resize,
        crop_size=(sampling.crop, sampling.crop),
        scaling=Scaling((114.75,) * 3, (57.375,) * 3),
        classes=400,
        layer=sampling.layer,
        layout=sampling.layout,
        activation="softmax",
        dataset="Kinetics-400",
        weights_name="a file of the user",
    )


def _build(name: str) -> nn.Module:
    hub = import_extra("pytorchvideo.models.hub", extra="pytorchvideo", model=f"pytorchvideo:{name}")
    network: nn.Module = getattr(hub, name)(pretrained=False)
    slow = _SAMPLING[name].slow
    if not slow:
        return network
    from vidcam.models.families.pathways import SlowFastInput

    return SlowFastInput(network, slow)


def _load_file(name: str, module: nn.Module, path: Path) -> str:
    """Load a weights file with pytorchvideo's names into a network from `build` and return its provenance."""
    from vidcam.models.weights.state import load_weights_file

    network = module.get_submodule("network") if _SAMPLING[name].slow else module
    return load_weights_file(network, path, name=f"pytorchvideo:{name}")
