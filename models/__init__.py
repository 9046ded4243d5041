"""Models: networks, their weights, labels and specifications; nothing here knows of CAM, video files or metrics.

    Model          network + specification + labels + provenance of the weights: what the rest of vidcam works with
    load_model     a built-in model by name, one of torchvision's, or a user's own as 'package.module:factory'
    image_network  lets an image network take clips of one frame
    list_models    what is built in; lists without importing torch
    sample_clip    a real clip for the demo

Every name is resolved when first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidcam.models.entry import ModelEntry
    from vidcam.models.families.i3d import I3D
    from vidcam.models.families.image import image_network
    from vidcam.models.labels import kinetics400
    from vidcam.models.model import Model, resolve_device
    from vidcam.models.registry import (
        build_module,
        is_cached,
        list_models,
        load_model,
        model_entries,
    )
    from vidcam.models.sample import sample_clip
    from vidcam.models.specs import I3D_SPEC

__all__ = [
    "I3D",
    "I3D_SPEC",
    "Model",
    "ModelEntry",
    "build_module",
    "image_network",
    "is_cached",
    "kinetics400",
    "list_models",
    "load_model",
    "model_entries",
    "resolve_device",
    "sample_clip",
]


def __getattr__(name: str) -> object:
    homes = {
        "I3D": "families.i3d",
        "I3D_SPEC": "specs",
        "Model": "model",
        "ModelEntry": "entry",
        "image_network": "families.image",
        "kinetics400": "labels",
        "resolve_device": "model",
        "sample_clip": "sample",
    }
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{homes.get(name, 'registry')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
