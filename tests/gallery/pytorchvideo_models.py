"""Networks of pytorchvideo's hub with random weights and few channels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.gallery.family import Family, Names, Patch
from tests.gallery.torchvision_models import class_token_first

SMALL_MVIT: dict[str, Any] = {
    "depth": 5,
    "embed_dim_mul": [[1, 2.0], [2, 2.0]],
    "atten_head_mul": [[1, 2.0], [2, 2.0]],
    "pool_q_stride_size": [[1, 1, 2, 2], [2, 1, 2, 2], [3, 1, 2, 2]],
}


def thin(name: str, *shape: int, **options: Any) -> Callable[[Patch], Names]:
    """A network of the hub with other sizes."""

    def prepare(patch: Patch) -> Names:
        hub = importlib.import_module("pytorchvideo.models.hub")
        build = getattr(hub, name)
        patch.setattr(hub, name, lambda pretrained: build(**options))
        return {"clip": torch.randn(shape)}

    return prepare


def scores_before_softmax(network: nn.Module, clip: Tensor) -> Any:
    """The logits of a network whose head ends in a softmax in evaluation mode."""
    blocks: Any = network.get_submodule("blocks")
    head = blocks[-1]
    softmax, head.activation = head.activation, None
    scores = network(clip)
    head.activation = softmax
    return scores


FAMILIES = (
    Family("Slow", "pytorchvideo", thin("slow_r50", 1, 3, 8, 224, 224, stem_dim_out=8), "pytorchvideo"),
    Family("SlowFast", "pytorchvideo", thin("slowfast_r50", 1, 3, 32, 224, 224, stem_dim_outs=(16, 2)), "pytorchvideo"),
    Family("X3D", "pytorchvideo", thin("x3d_xs", 1, 3, 4, 160, 160), "pytorchvideo", scores=scores_before_softmax),
    Family("CSN", "pytorchvideo", thin("csn_r101", 1, 3, 32, 224, 224, stem_dim_out=8), "pytorchvideo"),
    Family(
        "R(2+1)D",
        "pytorchvideo",
        thin("r2plus1d_r50", 1, 3, 16, 224, 224, stem_dim_out=4),
        "pytorchvideo",
        scores=scores_before_softmax,
    ),
    Family(
        "MViT",
        "pytorchvideo",
        thin("mvit_base_16x4", 1, 3, 16, 224, 224, patch_embed_dim=8, **SMALL_MVIT),
        "pytorchvideo",
        class_token_first,
        is_probed=True,
        reach=1,
    ),
)
