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
from vidcam.spec import TokenGrid


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
    def __init__(self, class_tokens: int = 0, *, is_post: bool = False, order: str = "thw") -> None:
        super().__init__()
        self.order = [2 + "thw".index(letter) for letter in order]
        self.patch = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
        self.extra = nn.Parameter(torch.randn(1, class_tokens, 8))
        self.stack = nn.ModuleList(Block(is_post=is_post) for _ in range(3))
        self.last, self.fc = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, clip: Tensor) -> Tensor:
        rows = self.patch(clip).permute(0, 1, *self.order).flatten(2).transpose(1, 2)
        rows = torch.cat([self.extra.expand(len(rows), -1, -1), rows], dim=1)
        for block in self.stack:
            rows = block(rows)
        rows = self.last(rows)
        scores: Tensor = self.fc(rows[:, 0] if self.extra.shape[1] else rows.mean(1))
        return scores


class Divided(nn.Module):
    """Tokens of all frames, in attention of each frame, then of each place."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.last, self.fc = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.Linear(8, 5)
        self.stack = nn.ModuleList(Block(is_post=False) for _ in range(4))

    def forward(self, clip: Tensor) -> Tensor:
        clips, frames = len(clip), clip.shape[2]
        rows = self.patch(clip.transpose(1, 2).flatten(0, 1)).flatten(2).transpose(1, 2)
        for of_frames, of_places in zip(self.stack[::2], self.stack[1::2], strict=True):
            joint = of_frames(rows).reshape(clips, -1, 8)
            joint = self.last(joint)
            places = joint.unflatten(1, (frames, -1)).transpose(1, 2).flatten(0, 1)
            rows = of_places(places).unflatten(0, (clips, -1)).transpose(1, 2).flatten(0, 1)
        scores: Tensor = self.fc(rows.reshape(clips, -1, 8).mean(1))
        return scores


CLIP, GRID = (2, 3, 4, 8, 12), (2, 2, 3)
LARGE, LARGE_GRID = (1, 3, 8, 20, 24), (4, 5, 6)
"""On the small grid each cell is next to most others, so that the probe cannot tell their order."""


@pytest.mark.parametrize(("is_post", "name"), [(False, "stack.2.first"), (True, "stack.1.second")])
def test_the_last_norm_before_attention(is_post: bool, name: str) -> None:
    net, layouts = seeded(Plain, is_post=is_post), (TokenGrid(GRID, 0),)
    assert last_norm_before_attention(net, random_clip(*CLIP), (2, 12, 8), lambda _: layouts) == (name, layouts)
    assert last_norm_before_attention(net, random_clip(*CLIP), (2, 12, 8), lambda _: ()) is None


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


def test_a_baseline_is_of_this_layer_too() -> None:
    net, clip = seeded(Plain, order="hwt"), random_clip(*LARGE)
    baseline = vidcam.compute_baseline(net, torch.full_like(clip, 0.5))
    assert (baseline.layers, baseline.activations["stack.2.first"].shape[2:]) == (("stack.2.first",), LARGE_GRID)
    given, made = (
        vidcam.explain(net, clip, methods="neutral-gradcam", baseline=each)
        for each in (baseline, torch.full_like(clip, 0.5))
    )
    assert_alike(given, made)


def test_a_transformer_without_a_name_has_relevance_by_default() -> None:
    net, clip = seeded(Plain), random_clip(*CLIP)
    result = vidcam.explain(net, clip, target=1)
    assert result.methods == ("token-lrp",)
    np.testing.assert_array_equal(
        result.volumes["token-lrp"], vidcam.explain(net, clip, methods="token-lrp", target=1).volumes["token-lrp"]
    )


def test_the_order_of_the_tokens_is_probed() -> None:
    net, clip = seeded(Plain, class_tokens=1, order="hwt"), random_clip(*LARGE)
    chosen = vidcam.explain(net, clip, methods="hirescam", target=1)
    reshape = vidcam.tokens(LARGE_GRID, order="hwt")
    named = vidcam.explain(net, clip, methods="hirescam", target=1, layer="stack.2.first", reshape=reshape)
    assert_alike(chosen, named)
    assert chosen.notes[0].endswith("with reshape=vidcam.tokens((4, 5, 6), class_tokens=1, order='hwt').")


def test_divided_attention_has_its_layer_where_the_tokens_are_those_of_frames() -> None:
    chosen = vidcam.explain(seeded(Divided), random_clip(*CLIP), methods="hirescam", target=1)
    assert (chosen.layer, chosen.volumes["hirescam"].shape) == ("stack.2.first", (2, 4, 2, 3))
    words = "vidcam.in_turn([vidcam.tokens((2, 3), class_tokens=0), vidcam.frames(4)])"
    assert chosen.notes == (f"Layer 'stack.2.first' was chosen, the last norm before attention, with reshape={words}.",)


def test_two_class_tokens_are_not_guessed() -> None:
    with pytest.raises(LayerError, match="a function from its output"):
        vidcam.explain(seeded(Plain, class_tokens=2), random_clip(*CLIP), methods="gradcam")
