"""The default layer, and parallel branches, against plain autograd in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.branches import (
    ChannelsLast,
    LinearBeforePooling,
    Listed,
    Stream,
    Tokens,
    TwoStreams,
    UNet,
    gradcam_by_hand,
    runs_by_autograd,
)
from tests.helpers.conduct import State
from tests.helpers.nets import random_clip, seeded
from tests.helpers.networks import assert_alike
from vidcam.cam.explain import explain
from vidcam.errors import LayerError


def double(*shape: int, seed: int = 1) -> Tensor:
    return random_clip(*shape, seed=seed, dtype=torch.float64)


# ---- the default layer


def test_the_default_map_is_that_of_the_named_layer() -> None:
    net, clip = seeded(Stream).double().train(), double(3, 3, 4, 8, 8)
    state = State(net, clip)
    default = explain(net, clip, target=1, methods=("gradcam", "gradcam++", "hirescam"))
    state.check_unchanged()
    assert default.layer == "block"
    named = explain(net, clip, layer="block", target=1, methods=("gradcam", "gradcam++", "hirescam"))
    for name, volume in named.volumes.items():
        np.testing.assert_allclose(default.volumes[name], volume, rtol=1e-12)
    ((a, g),) = runs_by_autograd(net, clip, "block", lambda scores: scores[:, 1])
    np.testing.assert_allclose(default.volumes["gradcam"], gradcam_by_hand(a, g), rtol=1e-12)


def test_the_default_layer_takes_one_forward_pass_of_the_whole_batch() -> None:
    class Bound(Stream):
        batches: list[int]

        def forward(self, clip: Tensor) -> Tensor:
            self.batches.append(len(clip))
            return super().forward(clip).reshape(2, 5)

    net = seeded(Bound)
    net.batches = []  # type: ignore[assignment]
    assert explain(net, random_clip(2, 3, 4, 8, 8)).layer == "block"
    assert net.batches == [2]


def test_a_linear_layer_before_the_pooling_is_no_map() -> None:
    net, clip = seeded(LinearBeforePooling).double(), double(2, 3, 8, 32, 32)
    result = explain(net, clip, target=1)
    assert (result.layer, result.volumes["gradcam"].shape) == ("block", (2, 4, 8, 8))
    ((a, g),) = runs_by_autograd(net, clip, "block", lambda scores: scores[:, 1])
    np.testing.assert_allclose(result.volumes["gradcam"], gradcam_by_hand(a, g), rtol=1e-12)
    with pytest.raises(LayerError, match=r"'proj' returns channels last; pass reshape=vidcam.channels_last"):
        explain(net, clip, layer="proj")
    assert "proj" not in {layer.name for layer in vidcam.list_layers(net, clip)}


@pytest.mark.parametrize("class_tokens", [0, 1])
def test_tokens_behind_the_last_grid(class_tokens: int) -> None:
    net, clip = seeded(Tokens, class_tokens=class_tokens), random_clip(2, 3, 8, 32, 32)
    result = explain(net, clip, methods="gradcam")
    words = f"with reshape=vidcam.tokens((4, 4, 4), class_tokens={class_tokens})"
    assert result.notes[0] == f"Layer {result.layer!r} was chosen, the last norm before attention, {words}."
    reshape = vidcam.tokens((4, 4, 4), class_tokens=class_tokens)
    assert_alike(result, explain(net, clip, methods="gradcam", layer=result.layer, reshape=reshape))
    assert result.volumes["gradcam"].shape == (2, 4, 4, 4)


def test_channels_last_behind_the_last_grid() -> None:
    net, clip = seeded(ChannelsLast), random_clip(1, 3, 4, 16, 16)
    with pytest.raises(LayerError, match=r"pass layer='blocks', reshape=vidcam.channels_last"):
        explain(net, clip)
    assert explain(net, clip, reshape=vidcam.channels_last).layer == "blocks"


def _mvit() -> nn.Module:
    from torchvision.models.video.mvit import MSBlockConfig, MViT

    def block(heads: int, channels: tuple[int, int], stride: int) -> MSBlockConfig:
        return MSBlockConfig(heads, *channels, [3, 3, 3], [1, 2, 2], [1, stride, stride], [1, stride, stride])

    settings = [block(1, (8, 8), 1), block(2, (8, 16), 2), block(2, (16, 16), 1), block(2, (16, 16), 1)]
    net: nn.Module = MViT(
        (32, 32),
        8,
        settings,
        residual_pool=True,
        residual_with_cls_embed=False,
        rel_pos_embed=True,
        proj_after_attn=True,
        num_classes=4,
    )
    return net


def _swin() -> nn.Module:
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    net: nn.Module = SwinTransformer3d([2, 4, 4], 8, [2, 2], [2, 2], [2, 2, 2], num_classes=4)
    return net


@pytest.mark.parametrize(
    ("make", "named", "reshape"),
    [
        pytest.param(_mvit, "blocks.3.norm1", "vidcam.tokens((4, 4, 4), class_tokens=1)", id="MViT"),
        pytest.param(_swin, "features.2.1.norm1", "vidcam.channels_last", id="Swin3D"),
    ],
)
def test_video_transformers_of_torchvision(make: Callable[[], nn.Module], named: str, reshape: str) -> None:
    net, shown = seeded(make), random_clip(2, 3, 8, 32, 32)
    result = explain(net, shown, methods="gradcam")
    assert result.layer == named
    assert reshape in result.notes[0]
    assert result.volumes["gradcam"].max() > 0


def test_an_image_transformer_that_brings_its_channels_back() -> None:
    from torchvision.models import SwinTransformer

    net = seeded(SwinTransformer, patch_size=[4, 4], embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=[2, 2])
    clip = random_clip(2, 3, 32, 32)
    result = explain(net, clip, target=1, methods="gradcam")
    assert (result.layer, result.volumes["gradcam"].shape) == ("permute", (2, 4, 4))
    ((a, g),) = runs_by_autograd(net, clip, "permute", lambda scores: scores[:, 1])
    np.testing.assert_allclose(result.volumes["gradcam"], gradcam_by_hand(a, g), rtol=1e-4, atol=1e-6)


def test_a_recurrent_head_is_no_stage_of_tokens() -> None:
    class Recurrent(Stream):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(8, 40, num_layers=2, batch_first=True)
            self.fc = nn.Linear(40, 5)

        def forward(self, clip: Tensor) -> Tensor:
            frames = self.block(self.stem(clip)).mean(dim=(3, 4)).transpose(1, 2)
            scores: Tensor = self.fc(self.rnn(frames)[0][:, -1])
            return scores

    assert explain(seeded(Recurrent), random_clip(1, 3, 8, 8, 8)).layer == "block"


def test_the_first_block_of_an_encoder_is_not_the_default() -> None:
    def score(output: Any) -> Tensor:
        channel: Tensor = output[:, 2].mean(dim=(1, 2, 3))
        return channel

    net, clip = seeded(UNet).double(), double(1, 1, 8, 16, 16)
    result = explain(net, clip, target=score)
    assert result.layer == "out"
    ((a, g),) = runs_by_autograd(net, clip, "out", score)
    np.testing.assert_allclose(result.volumes["gradcam"], gradcam_by_hand(a, g), rtol=1e-12)


def test_a_block_named_instead_of_its_shared_relu() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.relu = nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1), nn.ReLU()
            self.fc = nn.Linear(4, 3)

        def forward(self, clip: Tensor) -> Tensor:
            features: Tensor = self.relu(self.two(self.relu(self.one(clip))))
            return features

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.fc = Block(), nn.Linear(4, 3)

        def forward(self, clip: Tensor) -> Tensor:
            scores: Tensor = self.fc(self.block(clip).mean(dim=(2, 3, 4)))
            return scores

    net, clip = seeded(Net), random_clip(1, 3, 4, 6, 6)
    assert explain(net, clip).layer == "block"
    with pytest.raises(LayerError, match=r"'block.relu' runs 2 times in a row; name the block .*, 'block', or a run"):
        explain(net, clip, layer="block.relu")
    last = explain(net, clip, layer="block.relu#1")
    np.testing.assert_array_equal(last.volumes["gradcam"], explain(net, clip, layer="block").volumes["gradcam"])
    first = explain(net, clip, layer="block.relu#0", target=1)
    (a, g), _ = runs_by_autograd(net, clip, "block.relu", lambda scores: scores[:, 1])
    np.testing.assert_allclose(first.volumes["gradcam"], gradcam_by_hand(a, g), rtol=1e-4, atol=1e-7)


def test_an_operation_that_autograd_forbids_before_the_layer() -> None:
    """A view of several is changed in place: this runs without a graph only."""

    class Forbidden(Stream):
        def forward(self, clip: Tensor) -> Tensor:
            for frame in (features := self.stem(clip)).unbind(2):
                frame.mul_(2)
            scores: Tensor = self.fc(self.block(features).mean(dim=(2, 3, 4)))
            return scores

    assert explain(seeded(Forbidden), random_clip(1, 3, 4, 8, 8)).layer == "block"


# ---- parallel branches


def test_the_sum_of_two_streams_is_the_exact_split_of_the_score() -> None:
    """Pooled linear heads, weights >= 0: each stream's cells sum to its part of the logit, without the bias."""
    net = seeded(TwoStreams).double().eval()
    for name in ("a", "b"):
        net.get_submodule(f"{name}.fc").weight.data.abs_()  # type: ignore[operator]
    clips = [double(2, 3, 8, 12, 12), double(2, 2, 8, 12, 12, seed=2)]
    result = explain(net, clips, methods=("gradcam", "gradcam+", "hirescam", "layercam"), target=3)
    assert result.layer == "a.block + b.block"
    assert result.volumes["gradcam"].shape == (2, 4, 6, 6)
    for name, volume in result.volumes.items():
        parts = []
        for stream, clip in zip("ab", clips, strict=True):
            branch = net.get_submodule(stream)
            part = branch(clip)[:, 3] - branch.get_parameter("fc.bias")[3]
            parts.append(part.detach())
            alone = explain(net, clips, methods=(name,), target=3, layer=f"{stream}.block").volumes[name]
            np.testing.assert_allclose(alone.sum(axis=(1, 2, 3)), part.detach(), rtol=1e-10)
        np.testing.assert_allclose(volume.sum(axis=(1, 2, 3)), sum(parts), rtol=1e-10, err_msg=name)
    mean = explain(net, clips, target=3, methods="gradcam", layer=["a.block", "b.block"]).volumes["gradcam"]
    assert mean.max() <= 1
    assert not np.allclose(mean, result.volumes["gradcam"])


def test_gradcam_pp_of_branches_with_unlike_grids_has_the_split_of_gradcam_plus() -> None:
    """As λ goes to 0, gradcam++ is half of gradcam+ if the sums of its weights are brought to means."""
    net = seeded(TwoStreams).double()
    clips = [double(1, 3, 8, 12, 12), double(1, 2, 8, 12, 12, seed=2)]
    volumes = explain(net, clips, methods=("gradcam+", "gradcam++"), target=0, score_scale=1e-9).volumes
    np.testing.assert_allclose(volumes["gradcam++"], volumes["gradcam+"] / 2, rtol=1e-6)


def test_an_ensemble() -> None:
    class Ensemble(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList(Stream() for _ in range(3))

        def forward(self, clip: Tensor) -> Tensor:
            return torch.stack([member(clip) for member in self.members]).mean(dim=0)

    net, clip = seeded(Ensemble).double(), double(1, 3, 4, 8, 8)
    result = explain(net, clip, target=2)
    assert result.layer == "members.0.block + members.1.block + members.2.block"
    assert "parallel branches" in result.notes[0]
    pairs = [runs_by_autograd(net, clip, f"members.{i}.block", lambda scores: scores[:, 2])[0] for i in range(3)]
    expected = sum(gradcam_by_hand(a, g) for a, g in pairs)
    np.testing.assert_allclose(result.volumes["gradcam"], expected, rtol=1e-12)


def test_a_branch_that_the_target_does_not_use() -> None:
    class Apart(TwoStreams):
        def forward(self, clips: list[Tensor]) -> Tensor:
            return torch.cat([self.a(clips[0]), self.b(clips[1])], dim=1)

    net, clips = seeded(Apart).double(), [double(1, 3, 8, 12, 12), double(1, 2, 8, 12, 12)]
    result = explain(net, clips, target=lambda output: output[:, 7])
    ((a, g),) = runs_by_autograd(net, clips, "b.block", lambda scores: scores[:, 7])
    np.testing.assert_allclose(result.volumes["gradcam"], gradcam_by_hand(a, g), rtol=1e-12)


def test_a_layer_that_returns_two_grids() -> None:
    """Each grid has the gradient of the head that gets both. With weights >= 0 they sum to the logit less its bias."""
    net, clip = seeded(Listed).double().eval(), double(2, 3, 8, 12, 12)
    assert isinstance(net, Listed)
    net.fc.weight.data.abs_()
    first, second = (part.detach().requires_grad_() for part in net.both(net.block(net.stem(clip))))
    score = net.fc(first.mean(dim=(2, 3, 4)) + second.mean(dim=(2, 3, 4)))[:, 1]
    gradients = torch.autograd.grad(score.sum(), (first, second))
    maps = [gradcam_by_hand(a.detach(), g) for a, g in zip((first, second), gradients, strict=True)]
    result = explain(net, clip, layer="both", target=1)
    assert result.layer == "both[0] + both[1]"
    assert result.notes == ("Layer 'both' returns 2 grids; the maps of all are used (both[0], both[1]).",)
    total = score.detach() - net.fc.bias[1].detach()
    np.testing.assert_allclose(result.volumes["gradcam"].sum(axis=(1, 2, 3)), total, rtol=1e-12)
    for index, expected in enumerate(maps):
        one = explain(net, clip, layer=f"both[{index}]", target=1).volumes["gradcam"]
        np.testing.assert_allclose(one, expected, rtol=1e-12)
    with pytest.raises(LayerError, match="layer 'both' has no output 2"):
        explain(net, clip, layer="both[2]")


def test_two_pathways_that_one_stage_returns_are_the_default() -> None:
    class Stage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slow, self.fast = nn.Conv3d(3, 6, 3, padding=1), nn.Conv3d(3, 2, 3, padding=1)

        def forward(self, clips: list[Tensor]) -> list[Tensor]:
            return [self.slow(clips[0]).relu(), self.fast(clips[1]).relu()]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stage, self.fc = Stage(), nn.Linear(8, 4)

        def forward(self, clips: list[Tensor]) -> Tensor:
            scores: Tensor = self.fc(torch.cat([part.mean(dim=(2, 3, 4)) for part in self.stage(clips)], dim=1))
            return scores

    net, fast = seeded(Net).double(), double(2, 3, 8, 6, 6)
    clips = [fast[:, :, ::4], fast]
    result = explain(net, clips, target=1)
    assert result.layer == "stage[0] + stage[1]"
    maps = [gradcam_by_hand(a, g) for a, g in runs_by_autograd(net, clips, "stage", lambda scores: scores[:, 1])]
    expected = sum(each.sum(dim=(1, 2, 3)) for each in maps)
    np.testing.assert_allclose(result.volumes["gradcam"].sum(axis=(1, 2, 3)), expected, rtol=1e-12)
