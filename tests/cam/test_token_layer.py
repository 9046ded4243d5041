"""The default layer in tokens: the last norm before attention, and relevance where no name tells a transformer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import vidcam
from tests.helpers.nets import random_clip, seeded
from tests.helpers.networks import assert_alike
from vidcam.cam.token_layer import last_norm_before_attention
from vidcam.errors import LayerError


class Block(nn.Module):
    """Pre-norm or post-norm; no name tells what it does."""

    def __init__(self, *, is_post: bool) -> None:
        super().__init__()
        self.is_post, self.mix, self.out = is_post, nn.Linear(8, 24), nn.Linear(8, 8)
        self.first, self.second = nn.LayerNorm(8), nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, rows: Tensor) -> Tensor:
        if self.is_post:
            rows = self.first(rows + self.mixed(rows))
            return torch.as_tensor(self.second(rows + self.mlp(rows)))
        rows = rows + self.mixed(self.first(rows))
        return torch.as_tensor(rows + self.mlp(self.second(rows)))

    def mixed(self, rows: Tensor) -> Tensor:
        heads = self.mix(rows).unflatten(-1, (3, 2, 4)).movedim(2, 0).transpose(2, 3)
        mixed = functional.scaled_dot_product_attention(*heads)
        return torch.as_tensor(self.out(mixed.transpose(1, 2).flatten(2)))


class Plain(nn.Module):
    def __init__(self, class_tokens: int = 0, *, is_post: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
        self.extra = nn.Parameter(torch.randn(1, class_tokens, 8))
        self.stack = nn.ModuleList(Block(is_post=is_post) for _ in range(3))
        self.last, self.fc = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, clip: Tensor) -> Tensor:
        rows = self.patch(clip).flatten(2).transpose(1, 2)
        rows = torch.cat([self.extra.expand(len(rows), -1, -1), rows], dim=1)
        for block in self.stack:
            rows = block(rows)
        rows = self.last(rows)
        scores: Tensor = self.fc(rows[:, 0] if self.extra.shape[1] else rows.mean(1))
        return scores


CLIP = (2, 3, 4, 8, 12)
GRID = (2, 2, 3)


@pytest.mark.parametrize(("is_post", "name"), [(False, "stack.2.first"), (True, "stack.1.second")])
def test_the_last_norm_before_attention(is_post: bool, name: str) -> None:
    net = seeded(Plain, is_post=is_post)
    assert last_norm_before_attention(net, random_clip(*CLIP), (2, 12, 8)) == name
    assert last_norm_before_attention(net, random_clip(*CLIP), (2, 13, 8)) is None


@pytest.mark.parametrize("class_tokens", [0, 1])
def test_it_is_the_default_layer_of_class_activation_maps(class_tokens: int) -> None:
    net, clip = seeded(Plain, class_tokens=class_tokens), random_clip(*CLIP)
    methods = ("gradcam", "hirescam", "neutral-gradcam")
    baseline = torch.full_like(clip, 0.5)
    chosen = vidcam.explain(net, clip, methods=methods, target=1, baseline=baseline)
    reshape = vidcam.tokens(GRID, class_tokens=class_tokens)
    named = vidcam.explain(
        net, clip, methods=methods, target=1, layer="stack.2.first", reshape=reshape, baseline=baseline
    )
    assert chosen.layer == "stack.2.first"
    assert_alike(chosen, named)
    assert "the last norm before attention" in chosen.notes[0]


def test_a_transformer_without_a_name_has_relevance_by_default() -> None:
    net, clip = seeded(Plain), random_clip(*CLIP)
    result = vidcam.explain(net, clip, target=1)
    assert result.methods == ("token-lrp",)
    np.testing.assert_array_equal(
        result.volumes["token-lrp"], vidcam.explain(net, clip, methods="token-lrp", target=1).volumes["token-lrp"]
    )


def test_two_class_tokens_are_not_guessed() -> None:
    with pytest.raises(LayerError, match="a function from its output"):
        vidcam.explain(seeded(Plain, class_tokens=2), random_clip(*CLIP), methods="gradcam")
