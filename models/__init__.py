"""Models: networks, weights, labels and specs. This package does not import CAM, video or metrics code.

    Model          network, spec, labels and provenance of the weights
    load_model     load a built-in model, a torchvision model, or your own as 'package.module:factory'
    image_network  make an image network accept clips of one frame
    list_models    list the built-in models without importing torch
    sample_clip    download a real clip for the demo

Names are imported on first use, so importing this package is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidcam.models.entry import ModelEntry
    from vidcam.models.families.i3d import I3D
    from vidcam.models.families.image import image_network
    from vidcam.models.labels import kinetics400
    from vidcam.models.model import Model
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
    "sample_clip",
]


def __getattr__(name: str) -> object:
    modules = {
        "I3D": "families.i3d",
        "I3D_SPEC": "specs",
        "Model": "model",
        "ModelEntry": "entry",
        "image_network": "families.image",
        "kinetics400": "labels",
        "sample_clip": "sample",
    }
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{modules.get(name, 'registry')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
