"""Transformers: features channels last or as tokens, and heads that read only the class token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.video.swin_transformer import SwinTransformer3d

from tests.helpers.conduct import State
from tests.helpers.nets import random_clip, seeded
from tests.helpers.networks import CHEAP, assert_alike
from vidcam.cam.explain import explain
from vidcam.cam.reshape import channels_last, tokens
from vidcam.errors import LayerError


class Turned(nn.Module):
    """A convolutional network with features as (N, D, t, h, w), (N, t, h, w, D) or tokens after extra ones."""

    def __init__(self, *, how: str = "first", others: int = 1) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv3d(3, 5, 3, padding=1), nn.Identity()
        self.hidden, self.out = nn.Linear(5, 9), nn.Linear(9, 4)
        self.how, self.others = how, others

    def forward(self, clip: Tensor) -> Tensor:
        features = self.conv(clip).relu()
        if self.how == "first":
            read = self.last(features).movedim(1, -1).flatten(1, 3)
        elif self.how == "last":
            read = self.last(features.movedim(1, -1)).flatten(1, 3)
        else:
            places = features.flatten(2).transpose(1, 2)
            read = self.last(torch.cat([places[:, :1].expand(-1, self.others, -1), places], dim=1))[:, self.others :]
        scores: Tensor = self.out(self.hidden(read).relu().mean(dim=1))
        return scores


@pytest.mark.parametrize(
    ("options", "reshape"),
    [
        ({"how": "last"}, channels_last),
        ({"how": "tokens", "others": 1}, tokens((3, 4, 5))),
        ({"how": "tokens", "others": 0}, tokens((3, 4, 5), class_tokens=0)),
        ({"how": "tokens", "others": 2}, tokens((3, 4, 5), class_tokens=2)),
    ],
)
def test_a_reshape_gives_the_maps_of_the_same_network_channels_first(
    options: dict[str, Any], reshape: Callable[[Tensor], Tensor]
) -> None:
    clip, methods = random_clip(2, 3, 3, 4, 5), (*CHEAP, "gradcam++softmax", "gradcam++signed", "guided-gradcam++")
    expected = explain(seeded(Turned), clip, layer="last", methods=methods)
    result = explain(seeded(Turned, **options), clip, layer="last", reshape=reshape, methods=methods)
    assert_alike(result, expected)


class Attention(nn.Module):
    """Two blocks of one attention each; the head reads only the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.token = nn.Conv3d(3, 8, 2, 2), nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(2)])
        self.norm, self.fc = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, clip: Tensor) -> Tensor:
        places = self.embed(clip).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(len(places), -1, -1), places], dim=1)
        for block in self.blocks:
            rows = block(rows)
        scores: Tensor = self.fc(self.norm(rows)[:, 0])
        return scores


@pytest.mark.parametrize("layer", ["blocks.1", "norm"])
def test_a_layer_with_a_gradient_at_the_class_token_only(layer: str) -> None:
    net, clip, reshape = seeded(Attention), random_clip(2, 3, 4, 6, 6), tokens((2, 3, 3))
    state = State(net, clip)
    message = (
        rf"layer '{layer}' has a gradient at the class token only, none on its grid; choose an earlier layer"
        rf", such as 'blocks.0'"
    )
    with pytest.raises(LayerError, match=message):
        explain(net, clip, layer=layer, reshape=reshape)
    state.check_unchanged()
    result = explain(net, clip, layer="blocks.0", reshape=reshape)
    assert result.volumes["gradcam"].max() > 0
    assert result.alpha_exact is not True


def test_swin_is_channels_last() -> None:
    small: dict[str, Any] = {"patch_size": [2, 4, 4], "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2]}
    net = seeded(SwinTransformer3d, **small, window_size=[2, 4, 4], num_classes=4)
    clip = random_clip(1, 3, 4, 32, 32)
    result = explain(net, clip, reshape=channels_last, methods=("gradcam", "cam"), target=2)
    assert result.layer == "norm"
    assert result.volumes["gradcam"].shape == (1, 2, 4, 4)
    np.testing.assert_allclose(result.volumes["cam"] / 32, result.volumes["gradcam"], rtol=1e-3, atol=1e-5)
