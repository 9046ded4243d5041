"""Maps of attention: against A written out, in any order of the tokens, and refused where attention is not joint."""

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


def by_hand(net: TokenNetwork, clip: Tensor, *, uses_gradient: bool) -> Tensor:
    """Attention of a pre-norm network followed, with A as a leaf of each block."""
    kept: list[Tensor] = []

    def attended(part: Any, x: Tensor) -> Any:
        q, k, v = (part.heads(linear(x)) for linear in (part.q, part.k, part.v))
        a = ((q @ k.mT) * (WIDTH // HEADS) ** -0.5).softmax(dim=-1)
        a.retain_grad()
        kept.append(a)
        return part.out((a @ v).transpose(1, 2).flatten(2))

    x = net.patches(clip).flatten(2).transpose(1, 2) + net.positions
    x = torch.cat([net.class_token.expand(len(x), -1, -1), x], dim=1)
    for block in net.blocks:
        given: Any = block
        x = x + attended(given.attentions[0], given.norms[0](x))
        x = x + given.mlp(given.norms[1](x))
    x = net.norm(x)
    if net.reading == "query":
        asked = (net.query @ x.mT * WIDTH**-0.5).softmax(dim=-1)
        asked.retain_grad()
        read = (asked @ x)[:, 0]
    else:
        read = x[:, 0] if net.reading == "class" else x.mean(dim=1)
    net.head(read)[:, 1].sum().backward()
    grads = [a.grad for a in kept if a.grad is not None]
    r = torch.eye(x.shape[1], dtype=x.dtype)
    for a, grad in zip(kept, grads, strict=True):
        r = r + (a * grad).relu().mean(dim=1) @ r if uses_gradient else (r + a.mean(dim=1) @ r) / 2
    if net.reading == "query":
        assert asked.grad is not None
        row = ((asked * asked.grad).relu() if uses_gradient else asked) @ r
        tokens: Tensor = row[:, 0]
    else:
        tokens = r[:, 0] if net.reading == "class" else r.mean(dim=1)
    result: Tensor = tokens[:, x.shape[1] - LENGTH :].reshape(-1, *CELLS).detach()
    return result


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("reading", ["class", "mean", "query"])
@pytest.mark.parametrize("method", ["attention-cam", "rollout"])
def test_equals_attention_written_out(method: str, reading: Any, is_fused: bool) -> None:
    clip = clip_of()
    ours = explain(network("joint", reading, is_fused=is_fused), clip, methods=method, target=1)
    theirs = by_hand(network("joint", reading), clip, uses_gradient=method == "attention-cam")
    np.testing.assert_allclose(ours.volumes[method], theirs, rtol=1e-9)


class TimeFastest(nn.Module):
    """The same network with its tokens in another order, behind the patches."""

    def __init__(self, net: TokenNetwork) -> None:
        super().__init__()
        self.net = net
        self.order = torch.arange(LENGTH).reshape(CELLS).permute(1, 2, 0).flatten()

    def forward(self, clip: Tensor) -> Any:
        net = self.net
        x = (net.patches(clip).flatten(2).transpose(1, 2) + net.positions)[:, self.order]
        x = torch.cat([net.class_token.expand(len(x), -1, -1), x], dim=1)
        for block in net.blocks:
            x = block(x)
        return net.head(net.norm(x)[:, 0])


def test_the_order_of_the_tokens_is_found() -> None:
    clip = clip_of()
    expected = explain(network("joint", "class"), clip, methods=["attention-cam", "token-lrp"], target=1)
    moved = explain(TimeFastest(network("joint", "class")), clip, methods=["attention-cam", "token-lrp"], target=1)
    for method in expected.methods:
        np.testing.assert_allclose(moved.volumes[method], expected.volumes[method], rtol=1e-9, atol=1e-14)


def test_attention_that_is_not_joint_is_refused() -> None:
    with pytest.raises(LayerError, match="use token-lrp"):
        explain(network("pooled"), clip_of(), methods="attention-cam")


def test_a_network_without_attention_is_refused() -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)).double()
    with pytest.raises(LayerError, match="needs a transformer"):
        explain(net, clip_of(), methods="rollout")


def test_both_share_a_pass_beside_relevance() -> None:
    net, runs = network(), list[int]()
    net.head.register_forward_hook(lambda *_: runs.append(1))
    found = explain(net, clip_of(), methods=["token-lrp", "attention-cam", "rollout"])
    assert found.methods == ("token-lrp", "attention-cam", "rollout")
    assert list(found.signed) == ["token-lrp"]
    assert len(runs) == 2
