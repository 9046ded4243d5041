"""The models shipped with vidcam.

set        models                        trained by
motion     tiny_r3d, tiny_c3d            scripts/run research.train_tiny
grating    tiny_vit, tiny_vit_cls        scripts/run research.train_transformers
shape      tiny_gap, tiny_vgg, of images scripts/run research.train_shapes
caption    tiny_captioner                scripts/run research.train_captioner
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vidcam.models.specs import (
    TINY_C3D_SPEC,
    TINY_CAPTIONER_SPEC,
    TINY_GAP_SPEC,
    TINY_R3D_SPEC,
    TINY_VGG_SPEC,
    TINY_VIT_CLS_SPEC,
    TINY_VIT_SPEC,
)

if TYPE_CHECKING:
    from torch import nn

TINY_SPECS = (TINY_R3D_SPEC, TINY_C3D_SPEC)
"""Those for the motion set."""

GRATING_SPECS = (TINY_VIT_SPEC, TINY_VIT_CLS_SPEC)
"""Those for the grating set."""

SHAPE_SPECS = (TINY_GAP_SPEC, TINY_VGG_SPEC)
"""Those for the shape set, of images."""

WEIGHTS_FOLDER = Path(__file__).parent


def weights_path(name: str) -> Path:
    """Return the path of a model's safetensors file inside the package."""
    return WEIGHTS_FOLDER / f"{name}.safetensors"


def build(name: str) -> nn.Module:
    """Build the network with random weights."""
    if name == TINY_R3D_SPEC.name:
        from vidcam.models.families.tiny_r3d import TinyR3D

        return TinyR3D()
    if name == TINY_C3D_SPEC.name:
        from vidcam.models.families.tiny_c3d import TinyC3D

        return TinyC3D()
    if name in (TINY_VGG_SPEC.name, TINY_GAP_SPEC.name):
        from vidcam.models.families.tiny_vgg import tiny_vgg

        return tiny_vgg(is_pooled=name == TINY_GAP_SPEC.name)
    if name == TINY_CAPTIONER_SPEC.name:
        from vidcam.models.families.tiny_captioner import TinyCaptioner

        return TinyCaptioner()
    from vidcam.models.families.tiny_vit import TinyViT

    return TinyViT(has_class_token=name == TINY_VIT_CLS_SPEC.name)


def load(module: nn.Module, name: str) -> str:
    """Load the shipped weights into a network from `build` and return their provenance.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    from vidcam.models.weights.state import load_weights_file

    specs = (*TINY_SPECS, *GRATING_SPECS, *SHAPE_SPECS, TINY_CAPTIONER_SPEC)
    dataset = next(spec.dataset for spec in specs if spec.name == name)
    return f"{dataset}, {load_weights_file(module, weights_path(name), name=name)}"
