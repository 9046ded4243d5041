"""Entries of the built-in models and of torchvision's models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any

from vidcam.models.entry import ModelEntry
from vidcam.models.families import c3d_weights, tiny, torchvision
from vidcam.models.families.torchvision_specs import HUB_FILES, TORCHVISION_SPECS
from vidcam.models.labels import imagenet, kinetics400, numbered_labels
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


def _late(family: str, function: str) -> Callable[..., Any]:
    """Return a function of a family's file, which imports torch, that imports the file when it is called."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"vidcam.models.families.{family}"), function)(*arguments)

    return call


def _c3d_entry(spec: ModelSpec) -> ModelEntry:
    return ModelEntry(
        spec,
        build=partial(c3d_weights.build, spec),
        load=None,
        labels=partial(numbered_labels, spec.classes),
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
            ModelEntry(
                I3D_SPEC,
                _late("i3d", "build"),
                _late("i3d", "load"),
                kinetics400,
                I3D_CACHE_FILE,
                loads_all=True,
            ),
            *(torchvision.entry_of(name, spec, HUB_FILES[name]) for name, spec in TORCHVISION_SPECS.items()),
            ModelEntry(
                EFFICIENTNET_LITE0_SPEC,
                _late("efficientnet_lite", "build"),
                _late("efficientnet_lite", "load"),
                imagenet,
                EFFICIENTNET_LITE0_CACHE_FILE,
                load_file=_late("efficientnet_lite", "load_file"),
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
