"""LeGrad: against each block's tokens read by the tail, written out, and refused where the blocks cannot be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.token_networks import CELLS, HEADS, LENGTH, WIDTH, TokenNetwork, clip_of
from vidcam import explain
from vidcam.errors import LayerError


def network(*args: Any, **options: Any) -> TokenNetwork:
    torch.manual_seed(0)
    return TokenNetwork(*args, **options).double().eval()


def by_hand(net: TokenNetwork, clip: Tensor, *, is_probability: bool = False) -> Tensor:
    """E of each block: the gradient of its own score, by a formula for ∂s/∂A, and their mean, (N, t, h, w)."""
    x = net.patches(clip).flatten(2).transpose(1, 2) + net.positions
    x = torch.cat([net.class_token.expand(len(x), -1, -1), x], dim=1)
    found: list[Tensor] = []
    for block in net.blocks:
        given: Any = block
        part = given.attentions[0]
        q, k, v = (part.heads(linear(given.norms[0](x))) for linear in (part.q, part.k, part.v))
        a = ((q @ k.mT) * (WIDTH // HEADS) ** -0.5).softmax(dim=-1)
        mixed = (a @ v).detach().requires_grad_()
        after = x + part.out(mixed.transpose(1, 2).flatten(2))
        x = after + given.mlp(given.norms[1](after))
        read = net.norm(x)
        logits = net.head(read[:, 0] if net.reading == "class" else read.mean(dim=1))
        s = (logits.softmax(dim=-1) if is_probability else logits)[:, 1].sum()
        (of_mixed,) = torch.autograd.grad(s, mixed)
        found.append((of_mixed @ v.mT).relu().sum(dim=(1, 2)) / (HEADS * x.shape[1]))  # ∂s/∂A_ij = ∂s/∂o_i · v_j
        x = x.detach()
    return torch.stack(found).mean(dim=0)[:, x.shape[1] - LENGTH :].reshape(-1, *CELLS).detach()


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("is_probability", [True, False])
@pytest.mark.parametrize("reading", ["class", "mean"])
def test_equals_the_formula(reading: Any, is_fused: bool, is_probability: bool) -> None:
    net, clip = network("joint", reading, is_fused=is_fused), clip_of()
    ours = explain(net, clip, methods="legrad", target=1, score="probability" if is_probability else "logit")
    theirs = by_hand(network("joint", reading), clip, is_probability=is_probability)
    assert theirs.min() >= 0
    assert theirs.std() > 1e-3 * theirs.max()
    np.testing.assert_allclose(ours.volumes["legrad"], theirs, rtol=1e-9)


class Tuples(nn.Module):
    """A block that returns a tuple."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.block(x), None


class Varied(nn.Module):
    """The network with blocks that return tuples, and perhaps a tail that reads the tokens of all blocks."""

    def __init__(self, net: TokenNetwork, *, reads_all: bool = False) -> None:
        super().__init__()
        self.patches, self.positions, self.class_token = net.patches, net.positions, net.class_token
        self.layers = nn.ModuleList(map(Tuples, net.blocks))
        self.norm, self.head, self.reads_all = net.norm, net.head, reads_all

    def forward(self, clip: Tensor) -> Any:
        x = self.patches(clip).flatten(2).transpose(1, 2) + self.positions
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)
        seen = []
        for layer in self.layers:
            x, _ = layer(x)
            seen.append(x.mean(dim=1))
        read = torch.stack(seen).sum(dim=0) if self.reads_all else self.norm(x)[:, 0]
        return self.head(read)


def test_blocks_that_return_tuples() -> None:
    ours = explain(Varied(network("joint", "class")), clip_of(), methods="legrad", target=1).volumes["legrad"]
    np.testing.assert_allclose(ours, by_hand(network("joint", "class"), clip_of()), rtol=1e-9)


def test_a_tail_that_reads_all_blocks_is_refused() -> None:
    with pytest.raises(LayerError, match="use token-lrp"):
        explain(Varied(network("joint", "class"), reads_all=True), clip_of(), methods="legrad")


class Loose(nn.Module):
    """The network with its blocks in no list."""

    def __init__(self, net: TokenNetwork) -> None:
        super().__init__()
        self.first, self.second = net.blocks
        self.patches, self.norm, self.head = net.patches, net.norm, net.head

    def forward(self, clip: Tensor) -> Any:
        x = self.second(self.first(self.patches(clip).flatten(2).transpose(1, 2)))
        return self.head(self.norm(x).mean(dim=1))


@pytest.mark.parametrize(
    "make", [lambda: Loose(network()), lambda: network("joint", "query"), lambda: network("pooled")]
)
def test_other_networks_are_refused(make: Any) -> None:
    with pytest.raises(LayerError, match="use token-lrp"):
        explain(make().double(), clip_of(), methods="legrad")


def test_clips_and_targets_are_apart_beside_other_methods() -> None:
    net, clips, runs = network("joint", "class"), clip_of(3), list[int]()
    net.head.register_forward_hook(lambda *_: runs.append(1))
    together = explain(net, clips, methods=["attention-cam", "legrad"], target=[2, 0, 1]).volumes["legrad"]
    assert len(runs) == 1 + 2  # attention-cam, and legrad once for each block
    for n, target in enumerate([2, 0, 1]):
        alone = explain(net, clips[n : n + 1], methods="legrad", target=target).volumes["legrad"][0]
        np.testing.assert_allclose(together[n], alone, rtol=1e-9)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.blocks.modules())
