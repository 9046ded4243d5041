"""The ReLUs of guided backpropagation: every spelling, upper bounds, other functions, in-place operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.helpers.guided import Rectifier, clip_of, deep, expected_of, first, guided
from tests.helpers.nets import seeded

SPELLINGS: dict[str, Callable[[], Rectifier]] = {
    "nn.ReLU": nn.ReLU,
    "nn.ReLU in place": lambda: nn.ReLU(inplace=True),
    "nn.Threshold": lambda: nn.Threshold(0, 0),
    "nn.Threshold in place": lambda: nn.Threshold(0, 0, inplace=True),
    "nn.ReLU6": nn.ReLU6,
    "nn.ReLU6 in place": lambda: nn.ReLU6(inplace=True),
    "nn.Hardtanh": lambda: nn.Hardtanh(0, 20),
    "F.relu": lambda: F.relu,
    "F.relu by keyword": lambda: lambda x: F.relu(input=x),
    "F.relu in place": lambda: lambda x: F.relu(x, inplace=True),
    "F.relu in place by position": lambda: lambda x: F.relu(x, True),
    "F.relu_": lambda: F.relu_,
    "F.relu6": lambda: F.relu6,
    "F.hardtanh_": lambda: lambda x: F.hardtanh_(x, 0.0, 20.0),
    "F.threshold": lambda: lambda x: F.threshold(x, 0, 0),
    "F.threshold_": lambda: lambda x: torch.threshold_(x, 0, 0),
    "torch.relu": lambda: torch.relu,
    "torch.relu_": lambda: torch.relu_,
    "Tensor.relu": lambda: lambda x: x.relu(),
    "Tensor.relu_": lambda: lambda x: x.relu_(),
    "torch.clamp": lambda: lambda x: torch.clamp(x, 0),
    "torch.clamp by keyword": lambda: lambda x: torch.clamp(input=x, min=0.0),
    "clamp with a tensor": lambda: lambda x: x.clamp(min=torch.zeros(())),
    "clamp(0, 20)": lambda: lambda x: x.clamp(0, 20),
    "Tensor.clamp": lambda: lambda x: x.clamp(min=0),
    "Tensor.clamp_": lambda: lambda x: x.clamp_(min=0),
    "Tensor.clip": lambda: lambda x: x.clip(0),
    "clamp_min": lambda: lambda x: x.clamp_min(0),
    "clamp_min_": lambda: lambda x: x.clamp_min_(0),
    "maximum": lambda: lambda x: torch.maximum(x, torch.zeros_like(x)),
    "maximum the other way": lambda: lambda x: torch.maximum(torch.zeros((), dtype=x.dtype), x),
    "maximum of one element": lambda: lambda x: torch.maximum(x, torch.zeros(1, dtype=x.dtype)),
    "torch.max": lambda: lambda x: torch.max(x, torch.zeros_like(x)),
    "aten": lambda: torch.ops.aten.relu,
    "aten in place": lambda: torch.ops.aten.relu_.default,
    "aten.clamp": lambda: lambda x: torch.ops.aten.clamp.default(x, 0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same_gradients(spelling: str) -> None:
    clip = clip_of()
    expected = guided(deep(), clip)
    assert torch.equal(guided(deep(SPELLINGS[spelling]()), clip), expected)


@pytest.mark.parametrize(
    "rectify",
    [
        lambda x: x.clamp(0, 0.3),
        lambda x: x.clamp_(0, 0.3),
        lambda x: x.clamp(torch.zeros(()), torch.tensor(0.3, dtype=torch.float64)),
        nn.Hardtanh(0, 0.3),
        nn.Hardtanh(0, 0.3, inplace=True),
        lambda x: F.relu6(x * 20) / 20,
        lambda x: nn.ReLU6(inplace=True)(x * 20) / 20,
    ],
)
def test_nothing_passes_at_the_upper_bound(rectify: Rectifier) -> None:
    net, clip = deep(rectify), clip_of()
    expected = expected_of(net, clip, upper=0.3)
    assert not torch.equal(expected, expected_of(net, clip))
    torch.testing.assert_close(guided(net, clip), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "other",
    [
        nn.LeakyReLU(0.2),
        nn.GELU(),
        lambda x: x.clamp(min=-0.1),
        lambda x: x.clamp(max=0.2),
        lambda x: F.threshold(x, 0.1, 0.05),
        lambda x: F.threshold(x, 0.0, -1.0),
        nn.Hardtanh(),
        lambda x: torch.maximum(x, 0.5 * x),
        lambda x: x - x.max(dim=1, keepdim=True).values,
        lambda x: x / x.abs().max(),
    ],
)
def test_other_functions_keep_their_gradient(other: Rectifier) -> None:
    """The first function is no ReLU, the second is one; the plain graph gets its mask explicitly."""
    net, clip = deep(), clip_of()
    calls = iter([other, torch.relu])

    def rectify(x: Tensor) -> Tensor:
        return next(calls)(x)

    net.rectify = rectify
    gradients = guided(net, clip)
    leaf = clip.clone().requires_grad_()
    before = net.convs[1](other(net.convs[0](leaf)))
    gradient = (net.fc.weight[0] / before[0, 0].numel()).clamp(min=0).view(1, -1, 1, 1, 1) * (before > 0)
    (expected,) = torch.autograd.grad(before, leaf, gradient)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-12)


def test_the_forward_pass_is_unchanged() -> None:
    net, clip, seen = deep(nn.ReLU6(inplace=True)), 30 * clip_of(), []

    def score(output: Tensor) -> Tensor:
        seen.append(output.detach())
        return first(output)

    guided(net, clip, score)
    assert torch.equal(seen[0], net(clip))


class Aliased(nn.Module):
    """A network that rectifies a tensor, or a part of it, and reads it through an earlier alias."""

    def __init__(self, *, inplace: bool, part: bool) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.inplace, self.part = inplace, part

    def forward(self, clip: Tensor) -> Tensor:
        features = self.conv(clip)
        if not self.inplace:
            features = torch.cat([features[:, :2].relu(), features[:, 2:]], 1) if self.part else features.relu()
            return features.flatten(2).square().sum(dim=2)
        alias = features.flatten(2)
        (features[:, :2] if self.part else features).relu_()
        read: Tensor = alias.square().sum(dim=2)
        return read


@pytest.mark.parametrize("part", [False, True])
def test_in_place_changes_are_visible_through_aliases(part: bool) -> None:
    clip = clip_of()
    nets = [seeded(Aliased, inplace=inplace, part=part).double() for inplace in (False, True)]
    apart, inside = (guided(net, clip, torch.sum) for net in nets)
    torch.testing.assert_close(inside, apart, rtol=0, atol=1e-12)
    assert torch.equal(nets[0](clip), nets[1](clip))


@pytest.mark.parametrize("rectify", [lambda x: x.relu_(), lambda x: x.clamp_(0, 6), lambda x: x.clamp(min=0).add_(1)])
def test_in_place_operations_first_and_last(rectify: Rectifier) -> None:
    """The network changes its copy of the clip in place, not the caller's clip."""
    net, clip = nn.Sequential(nn.Conv3d(3, 2, 1)), clip_of().float()
    before = clip.clone()

    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = net(rectify(x))
            return scores

    gradients = guided(First(), clip, lambda output: output[:, 0].sum())
    expected = net.get_parameter("0.weight")[0].clamp(min=0).view(1, 3, 1, 1, 1) * (clip > 0)
    torch.testing.assert_close(gradients, expected.detach())
    assert torch.equal(before, clip)
