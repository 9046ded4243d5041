"""Guided backpropagation: against explicit masks, small numbers and captum; batches, several inputs, special
modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests.helpers.guided import clip_of, deep, expected_of, first, guided
from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.cam.guided import guided_gradients


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_equals_explicit_masks(target: int) -> None:
    net, clip = deep(), clip_of()
    gradients, expected = (
        guided(net, clip, lambda output: output[:, target].sum()),
        expected_of(net, clip, target=target),
    )
    assert gradients.shape == clip.shape
    torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-12)
    leaf = clip.clone().requires_grad_()
    (plain,) = torch.autograd.grad(net(leaf)[:, target].sum(), leaf)
    assert not torch.allclose(plain, expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


def test_gradients_of_two_pixels() -> None:
    """x = (2, 1): a - b = 1 is open, b - a = -1 closed, a + b = 3 open; the score is 2, 5 and -1 times these."""
    net = nn.Sequential(nn.Conv3d(2, 3, 1, bias=False), nn.ReLU(), nn.Conv3d(3, 1, 1, bias=False))
    with torch.no_grad():
        net.get_parameter("0.weight").copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]).view(3, 2, 1, 1, 1))
        net.get_parameter("2.weight").copy_(torch.tensor([2.0, 5.0, -1.0]).view(1, 3, 1, 1, 1))
    clip = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1, 1)
    gradients = guided(net, clip, torch.sum)
    assert gradients.flatten().tolist() == [2.0, -2.0]  # 2 · (1, -1); plainly it would be (1, -3)


def test_a_batch_equals_single_clips() -> None:
    net, clips = deep(), clip_of(3)
    together = guided(net, clips)
    for n in range(3):
        torch.testing.assert_close(guided(net, clips[n : n + 1])[0], together[n], rtol=0, atol=1e-12)


class TwoPathways(nn.Module):
    """A network that reads its first two inputs and returns a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 2, 1), nn.Conv3d(3, 2, 1)
        self.kinds: list[type] = []

    def forward(self, pathways: list[Tensor]) -> dict[str, Tensor]:
        self.kinds.append(type(pathways))
        slow, fast = self.slow(pathways[0]).relu().mean(dim=2), self.fast(pathways[1]).relu().mean(dim=2)
        return {"logits": (slow + fast).mean(dim=(2, 3))}


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_inputs_give_several_gradients(kind: type) -> None:
    net = seeded(TwoPathways).double()
    assert isinstance(net, TwoPathways)
    slow, fast, unread = clip_of()[:, :, :2], clip_of(), clip_of()
    gradients = guided_gradients(net, kind([slow, fast, unread]), lambda output: first(output["logits"]))
    assert isinstance(gradients, tuple)
    assert net.kinds == [kind]
    assert [tuple(part.shape) for part in gradients] == [tuple(part.shape) for part in (slow, fast, unread)]
    assert not gradients[2].any()
    for conv, clip, gradient in zip((net.slow, net.fast), (slow, fast), gradients, strict=False):
        gate = (conv(clip) > 0) & (torch.ones(2) > 0).view(1, -1, 1, 1, 1)
        gate[:, 1] = False  # the score reads the first channel
        expected = F.conv_transpose3d(gate.double() / clip[0, 0].numel(), conv.weight).detach()
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


class Encoder(nn.Sequential):
    def __init__(self) -> None:
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="relu")
        super().__init__(nn.Flatten(2), nn.Linear(12, 4), layer)


def test_transformer_layers_do_not_use_the_fused_path() -> None:
    """In evaluation mode `TransformerEncoderLayer` has a fused path that hides its ReLU."""
    net, clip = seeded(Encoder).requires_grad_(False), random_clip(2, 3, 3, 2, 2)
    assert guided(net, clip, lambda output: output[:, 0, 0].sum()).any()


class Checkpointed(PooledHead):
    def forward(self, clip: Tensor) -> Tensor:
        features = checkpoint(self.block2, checkpoint(self.block1, clip, use_reentrant=False), use_reentrant=False)
        scores: Tensor = self.fc(self.pool(features).flatten(1))
        return scores


def test_checkpointed_parts() -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    assert torch.equal(guided(seeded(Checkpointed), clip), guided(seeded(PooledHead), clip))


class Modules(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv3d(3, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2)),
            *(nn.Conv3d(6, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
            *(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)),
        )


def test_the_map_is_divided_by_its_maximum_and_its_minimum_stays() -> None:
    """A = (1, 2, 4) and its gradient is 1/3: the map is (1/4, 1/2, 1) of its maximum, guided backpropagation is 1/3."""
    net = nn.Sequential(nn.Conv3d(1, 1, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    net.get_parameter("0.weight").data.fill_(1.0)
    clip = torch.tensor([1.0, 2.0, 4.0]).view(1, 1, 1, 1, 3)
    explanation = explain(net, clip, layer="1", methods="guided-gradcam", target=0)
    np.testing.assert_allclose(explanation.guided["guided-gradcam"].ravel(), [1 / 12, 1 / 6, 1 / 3], rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_equals_captum() -> None:
    """Captum hooks `nn.ReLU` modules. It agrees on a network that has only these, each used once."""
    captum = pytest.importorskip("captum.attr")
    net, clip = seeded(Modules).eval(), random_clip(2, 3, 4, 8, 8)
    gradients = guided(net, clip, lambda output: output[:, 1].sum())
    theirs = captum.GuidedBackprop(net).attribute(clip.clone().requires_grad_(), target=1)
    scale = float(theirs.abs().max())
    assert scale > 0
    torch.testing.assert_close(gradients / scale, theirs.detach() / scale, rtol=0, atol=1e-5)
