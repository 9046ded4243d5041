"""Networks of MONAI for volumes, with random weights."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tests.gallery.family import Family, Names, Patch, run
from tests.gallery.hugging_face import time_first


def volume(patch: Patch) -> Names:
    """A small volume for a network of any size."""
    del patch
    return {"volume": torch.randn(1, 1, 64, 64, 64)}


def smaller_volume(patch: Patch) -> Names:
    """For a network that halves it three times only."""
    del patch
    return {"volume": torch.randn(1, 1, 32, 40, 48)}


def small_vit(patch: Patch) -> Names:
    """Two blocks of few channels, yet not so few that nearly all of it is the patch embedding."""
    nets: Any = importlib.import_module("monai.networks.nets")
    patch.setattr(nets, "ViT", partial(nets.ViT, hidden_size=48, mlp_dim=96, num_layers=2, num_heads=2))
    return {"volume": torch.randn(1, 1, 96, 96, 96)}


def class_token_first(tokens: Tensor) -> Tensor:
    """(N, 1 + 6·6·6, D) → (N, D, 6, 6, 6)."""
    return time_first(tokens, (6, 6, 6), 1)


FAMILIES = (
    Family("DenseNet", "monai", volume, "monai"),
    Family("ResNet", "monai", volume, "monai"),
    Family("SegResNet", "monai", smaller_volume, "monai", scores=run),
    Family("ViT", "monai", small_vit, "monai", class_token_first, is_probed=True),
)
