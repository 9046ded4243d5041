"""Networks of torchvision.models.video and the three that are built into vidcam, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import video
from torchvision.models.video.mvit import MSBlockConfig, MViT
from torchvision.models.video.swin_transformer import SwinTransformer3d

import vidcam
from tests.gallery.family import Family, Names, Patch
from tests.gallery.hugging_face import time_first


def whole(name: str, *shape: int) -> Callable[[Patch], Names]:
    """The network as it is, on a small clip."""

    def prepare(patch: Patch) -> Names:
        build = getattr(video, name)
        patch.setattr(video, name, lambda weights: build(weights=None))
        return {"clip": torch.randn(shape)}

    return prepare


def small_mvit(patch: Patch) -> Names:
    """Four blocks that end on (8, 7, 7), as the sixteen of mvit_v2_s do."""
    strides = [([1, 1, 1], [1, 8, 8]), ([1, 2, 2], [1, 4, 4]), ([1, 2, 2], [1, 2, 2]), ([1, 2, 2], [1, 1, 1])]
    blocks = [MSBlockConfig(1, 16, 16, [3, 3, 3], [3, 3, 3], q, kv) for q, kv in strides]
    options = {"residual_pool": True, "residual_with_cls_embed": False, "rel_pos_embed": True, "proj_after_attn": True}
    build = partial(MViT, (224, 224), 16, [*blocks, blocks[0]], num_classes=5, **options)
    patch.setattr(video, "mvit_v2_s", lambda weights: build())
    return {"clip": torch.randn(1, 3, 16, 224, 224)}


def small_swin(patch: Patch) -> Names:
    """One block in each stage."""
    build = partial(SwinTransformer3d, [2, 4, 4], 12, [1, 1, 1, 2], [1, 2, 2, 4], [8, 7, 7], num_classes=5)
    patch.setattr(video, "swin3d_t", lambda weights: build())
    return {"clip": torch.randn(1, 3, 16, 128, 128)}


def built_in(*shape: int, sets_norms: bool = False) -> Callable[[Patch], Names]:
    """A model of vidcam's own with random weights, whatever weights the recipe asks for."""

    def prepare(patch: Patch) -> Names:
        load, clip = vidcam.load_model, torch.randn(shape)

        def random_model(name: str, **_weights: str) -> vidcam.Model:
            model = load(name, weights="random", device="cpu")
            if sets_norms:
                set_norms(model.module, clip)
            return model

        patch.setattr(vidcam, "load_model", random_model)
        return {"clip": clip}

    return prepare


@torch.no_grad()
def set_norms(network: nn.Module, clip: Tensor) -> None:
    """Let batch normalisation scale by the statistics of a clip, so that no signal fades in a deep random network."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train().momentum = 1.0
    network(clip)
    network.eval()


def channels_last(output: Tensor) -> Tensor:
    """(N, t, h, w, D) → (N, D, t, h, w)."""
    return output.permute(0, 4, 1, 2, 3)


def class_token_first(tokens: Tensor) -> Tensor:
    """(N, 1 + 8·7·7, D) → (N, D, 8, 7, 7)."""
    return time_first(tokens, (8, 7, 7), 1)


def one_frame(output: Tensor) -> Tensor:
    """(N, D, h, w) → (N, D, 1, h, w)."""
    return output[:, :, None]


FAMILIES = (
    Family("r3d_18", "torchvision", whole("r3d_18", 1, 3, 16, 64, 64)),
    Family("mc3_18", "torchvision", whole("mc3_18", 1, 3, 16, 64, 64)),
    Family("r2plus1d_18", "torchvision", whole("r2plus1d_18", 1, 3, 16, 64, 64)),
    Family("s3d", "torchvision", whole("s3d", 1, 3, 16, 224, 224)),
    Family("mvit_v2_s", "torchvision", small_mvit, layout=class_token_first, is_probed=True, reach=1),
    Family("swin3d_t", "torchvision", small_swin, layout=channels_last, is_probed=True),
    Family("I3D", "torchvision", built_in(1, 3, 16, 224, 224)),
    Family("C3D", "torchvision", built_in(1, 3, 16, 112, 112)),
    Family(
        "EfficientNet-Lite0",
        "torchvision",
        built_in(1, 3, 1, 224, 224, sets_norms=True),
        layout=one_frame,
        is_probed=True,
        reach=2,  # a cell sees most of the image
    ),
)
