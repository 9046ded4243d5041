"""Entries of the built-in models and of torchvision's models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from vidcam.models.entry import ModelEntry
from vidcam.models.families import c3d_weights, tiny, torchvision
from vidcam.models.families.torchvision_specs import HUB_FILES, TORCHVISION_SPECS
from vidcam.models.labels import imagenet, kinetics400
from vidcam.models.specs import (
    C3D_SPORTS1M_SPEC,
    C3D_UCF101_SPEC,
    EFFICIENTNET_LITE0_CACHE_FILE,
    EFFICIENTNET_LITE0_SPEC,
    I3D_CACHE_FILE,
    I3D_SPEC,
    TINY_CAPTIONER_SPEC,
)
from vidcam.motion import GRATING_LABELS, LABELS, SHAPE_LABELS
from vidcam.motion.captions import VOCABULARY
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import nn


def torchvision_entry(name: str, classes: int | None = None) -> ModelEntry:
    """Make the entry of any torchvision model, 'resnet50'. This imports torchvision.

    Args:
        name: torchvision's name.
        classes: K, as of a network that was trained on other classes; None: those of torchvision's weights.

    Raises:
        NameNotFoundError: torchvision has no such classification model, or the model has no such weights.
    """
    spec, hub_file = torchvision.spec(name), torchvision.hub_file(name)
    if classes is None or classes == spec.classes:
        return _torchvision_entry(name, spec, hub_file)
    return ModelEntry(
        replace(
            spec,
            classes=classes,
            dataset="the classes of --labels",
            weights_name="a file of yours, --weights FILE",
            licence="that of the file",
            parameters=0,
            download_bytes=0,
        ),
        build=partial(torchvision.build, name, classes),
        load=None,
        labels=lambda: tuple(f"class {index}" for index in range(classes)),
        load_file=partial(torchvision.load_file, name),
    )


def _build_i3d() -> nn.Module:
    from vidcam.models.families.i3d import build

    return build()


def _load_i3d(module: nn.Module, progress: Progress | None) -> str:
    from vidcam.models.families.i3d import load

    return load(module, progress)


def _build_efficientnet_lite0() -> nn.Module:
    from vidcam.models.families.efficientnet_lite import build

    return build()


def _load_efficientnet_lite0(module: nn.Module, progress: Progress | None) -> str:
    from vidcam.models.families.efficientnet_lite import load

    return load(module, progress)


def _load_efficientnet_lite0_file(module: nn.Module, path: Path) -> str:
    from vidcam.models.families.efficientnet_lite import load_file

    return load_file(module, path)


def _torchvision_entry(name: str, spec: ModelSpec, hub_file: str) -> ModelEntry:
    return ModelEntry(
        spec,
        build=partial(torchvision.build, name),
        load=partial(torchvision.load, name),
        labels=partial(torchvision.labels, name),
        hub_file=hub_file,
        load_file=partial(torchvision.load_file, name),
        loads_all=True,
    )


def _c3d_entry(spec: ModelSpec) -> ModelEntry:
    return ModelEntry(
        spec,
        build=partial(c3d_weights.build, spec),
        load=None,
        labels=partial(c3d_weights.class_names, spec),
        from_file=partial(c3d_weights.from_file, spec),
    )


def _tiny_entry(spec: ModelSpec, labels: tuple[str, ...]) -> ModelEntry:
    return ModelEntry(
        spec,
        build=partial(tiny.build, spec.name),
        load=lambda module, _: tiny.load(module, spec.name),
        labels=lambda: labels,
        loads_all=True,
    )


BUILT_IN: Mapping[str, ModelEntry] = MappingProxyType(
    {
        entry.spec.name: entry
        for entry in (
            ModelEntry(I3D_SPEC, _build_i3d, _load_i3d, kinetics400, I3D_CACHE_FILE, loads_all=True),
            *(_torchvision_entry(name, spec, HUB_FILES[name]) for name, spec in TORCHVISION_SPECS.items()),
            ModelEntry(
                EFFICIENTNET_LITE0_SPEC,
                _build_efficientnet_lite0,
                _load_efficientnet_lite0,
                imagenet,
                EFFICIENTNET_LITE0_CACHE_FILE,
                load_file=_load_efficientnet_lite0_file,
                loads_all=True,
            ),
            *map(_c3d_entry, (C3D_SPORTS1M_SPEC, C3D_UCF101_SPEC)),
            *(_tiny_entry(spec, LABELS) for spec in tiny.TINY_SPECS),
            *(_tiny_entry(spec, GRATING_LABELS) for spec in tiny.GRATING_SPECS),
            *(_tiny_entry(spec, SHAPE_LABELS) for spec in tiny.SHAPE_SPECS),
            _tiny_entry(TINY_CAPTIONER_SPEC, VOCABULARY),
        )
    }
)
"""The built-in models by name, the default first."""
