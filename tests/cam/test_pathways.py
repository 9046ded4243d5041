"""A pathway that reaches the scores on two ways."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.helpers.nets import random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.cam.network import Input


class LateLateral(nn.Module):
    """A fast pathway that reaches the head both directly and through a lateral convolution into the slow one."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1, stride=(1, 2, 2)), nn.ReLU())
        self.fast = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1, stride=(1, 2, 2)), nn.ReLU())
        self.lateral = nn.Conv3d(4, 4, (5, 1, 1), stride=(4, 1, 1), padding=(2, 0, 0))
        self.fc = nn.Linear(12, 3, bias=False)

    def forward(self, clips: list[Tensor]) -> Tensor:
        slow, fast = self.slow(clips[0]), self.fast(clips[1])
        pooled = [features.mean(dim=(2, 3, 4)) for features in (slow, self.lateral(fast), fast)]
        scores: Tensor = self.fc(torch.cat(pooled, dim=1))
        return scores


def test_a_pathway_that_reaches_the_head_twice_is_counted_on_both_ways() -> None:
    """The head is linear behind the chosen maps: the cells of the summed hirescam map add up to the score."""
    net, fast = seeded(LateLateral).double(), random_clip(2, 3, 8, 12, 12).double()
    clips: Input = [fast[:, :, ::4], fast]
    result = explain(net, clips, methods="hirescam", target=1)
    assert result.layer == "slow + fast + lateral"
    score = net(clips)[:, 1].detach()
    layers = ["slow", "lateral", "fast"]
    parts = [explain(net, clips, methods="hirescam", target=1, layer=name, fusion="sum") for name in layers]
    assert all(part.volumes["hirescam"].max() > 0 for part in parts)
    signed = _signed_sum(net, clips, layers)
    torch.testing.assert_close(signed, score)
    clipped = sum(part.volumes["hirescam"].sum(axis=(1, 2, 3)) for part in parts)
    assert (clipped >= score.numpy() - 1e-9).all()


def _signed_sum(net: nn.Module, clips: Input, layers: list[str]) -> Tensor:
    """ΣA·g over three layers, by plain autograd with each layer's output as a leaf of its own."""
    leaves: dict[str, Tensor] = {}

    def cut(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            leaves[name] = output.detach().requires_grad_()
            return leaves[name]

        return hook

    handles = [net.get_submodule(name).register_forward_hook(cut(name)) for name in layers]
    scores = net(clips)[:, 1]
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(scores.sum(), list(leaves.values()))
    terms = [(a * g).detach().flatten(1).sum(dim=1) for a, g in zip(leaves.values(), gradients, strict=True)]
    return torch.stack(terms).sum(dim=0)


class SideExit(nn.Module):
    """A residual sum without a ReLU behind it, and a second exit from its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1, stride=2), nn.ReLU())
        self.branch = nn.Sequential(nn.Conv3d(4, 4, 3, padding=1), nn.ReLU())
        self.sum = nn.Conv3d(4, 4, 1, bias=False)
        self.fc = nn.Linear(8, 3, bias=False)

    def forward(self, clip: Tensor) -> Tensor:
        shortcut = self.stem(clip)
        both = self.sum(shortcut + self.branch(shortcut))
        scores: Tensor = self.fc(torch.cat([both.mean(dim=(2, 3, 4)), shortcut.mean(dim=(2, 3, 4))], dim=1))
        return scores


def test_a_sum_gives_way_to_its_parts_where_one_of_them_has_an_exit_of_its_own() -> None:
    """Else the shortcut would be counted twice, or the branch not at all."""
    net, clip = seeded(SideExit).double(), random_clip(2, 3, 8, 12, 12).double()
    result = explain(net, clip, methods="hirescam", target=1)
    assert set(result.layer.split(" + ")) == {"stem", "branch"}
    torch.testing.assert_close(_signed_sum(net, clip, ["stem", "branch"]), net(clip)[:, 1].detach())
