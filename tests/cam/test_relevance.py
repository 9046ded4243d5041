"""Relevance: against the rules written out by hand, its sum, and networks whose map is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.helpers.token_networks import (
    CELLS,
    CLASSES,
    HEADS,
    LENGTH,
    WIDTH,
    Block,
    ByHand,
    TokenNetwork,
    clip_of,
    split,
)
from vidcam import explain
from vidcam.cam.relevance import is_transformer
from vidcam.cam.request import MapRequest

METHODS = ("token-lrp", "attnlrp")


def network(*args: Any, seed: int = 0, **options: Any) -> TokenNetwork:
    torch.manual_seed(seed)
    return TokenNetwork(*args, **options).double().eval()


def relevance(net: nn.Module, clip: Tensor, method: str = "token-lrp", **options: Any) -> Any:
    return explain(net, clip, methods=method, target=1, **options).signed[method]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_post", [False, True])
@pytest.mark.parametrize(
    ("kind", "reading"),
    [
        ("joint", "class"),
        ("joint", "mean"),
        ("joint", "query"),
        ("windowed", "mean"),
        ("divided", "mean"),
        ("divided", "class"),
        ("pooled", "mean"),
    ],
)
def test_equals_the_rules_by_hand(kind: Any, reading: Any, is_post: bool, method: str) -> None:
    net, clip = network(kind, reading, is_post=is_post), clip_of()
    ours = explain(net, clip, methods=method, target=1)
    with torch.no_grad():
        theirs = ByHand(net, is_softmax_constant=method == "token-lrp").relevance(clip, 1)
        np.testing.assert_allclose(ours.logits, net(clip), rtol=0, atol=1e-13)
    np.testing.assert_allclose(ours.signed[method], theirs, rtol=1e-7, atol=1e-9 * float(theirs.abs().max()))
    np.testing.assert_array_equal(ours.volumes[method], np.maximum(ours.signed[method], 0))
    assert ours.layer == "patches"
    assert ours.signed[method].shape == (2, *CELLS)


@pytest.mark.parametrize("is_post", [False, True])
@pytest.mark.parametrize(
    ("kind", "reading"), [("joint", "mean"), ("joint", "query"), ("windowed", "mean"), ("divided", "mean")]
)
def test_adds_up_to_the_logit_where_nothing_is_added(kind: Any, reading: Any, is_post: bool) -> None:
    net, clip = network(kind, reading, is_post=is_post, bias=False, has_positions=False), clip_of(3)
    found = explain(net, clip, methods="token-lrp", target=1)
    np.testing.assert_allclose(found.signed["token-lrp"].sum(axis=(1, 2, 3)), found.logits[:, 1], rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["joint", "divided", "pooled"])
def test_fused_attention_equals_attention_written_out(kind: Any, method: str) -> None:
    fused, plain = network(kind), network(kind, is_fused=False)
    np.testing.assert_allclose(relevance(fused, clip_of(), method), relevance(plain, clip_of(), method), rtol=1e-9)


class TorchLayers(nn.Module):
    """The blocks of a `TokenNetwork` as torch's own encoder layers, with the same weights."""

    def __init__(self, net: TokenNetwork, *, is_post: bool) -> None:
        super().__init__()
        self.net = net
        net.blocks = nn.ModuleList(_encoder_layer(block, is_post) for block in net.blocks)  # type: ignore[arg-type]

    def forward(self, clip: Tensor) -> Any:
        return self.net(clip)


def _encoder_layer(block: Block, is_post: bool) -> Any:
    layer: Any = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 2 * WIDTH, 0.0, functional.gelu, batch_first=True, norm_first=not is_post, dtype=torch.float64
    ).eval()
    attention: Any = block.attentions[0]
    parts = [attention.q, attention.k, attention.v]
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        layer.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        pairs = [(layer.self_attn.out_proj, attention.out), (layer.linear1, block.up), (layer.linear2, block.down)]
        for own, given in (*pairs, (layer.norm1, block.norms[0]), (layer.norm2, block.norms[1])):
            own.weight.copy_(given.weight)
            own.bias.copy_(given.bias)
    return layer


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_post", [False, True])
def test_torch_encoder_layers_equal_those_written_out(is_post: bool, method: str) -> None:
    expected = relevance(network("joint", is_post=is_post), clip_of(), method)
    layers = TorchLayers(network("joint", is_post=is_post), is_post=is_post)
    np.testing.assert_allclose(relevance(layers, clip_of(), method), expected, rtol=1e-8, atol=1e-12)


class ReadsMark(nn.Module):
    """The class token attends to the one patch whose first channel is marked, and returns its second channel."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv3d(3, 3, (1, 2, 2), (1, 2, 2), bias=False)
        weight = torch.zeros(3, 3, 1, 2, 2)
        for channel in range(3):
            weight[channel, channel] = 0.25
        self.patches.weight = nn.Parameter(weight)
        self.keys = nn.Linear(3, 1, bias=False)
        self.keys.weight = nn.Parameter(torch.tensor([[1.0, 0.0, 0.0]]))
        self.query = nn.Parameter(torch.tensor([[[900.0]]]))
        self.head = nn.Linear(3, 2, bias=False)
        self.head.weight = nn.Parameter(torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))

    def forward(self, clip: Tensor) -> Tensor:
        x = self.patches(clip).flatten(2).transpose(1, 2)
        read = functional.scaled_dot_product_attention(self.query.expand(len(x), 1, 1), self.keys(x), x)
        result: Tensor = self.head(read[:, 0])
        return result


@pytest.mark.parametrize("marked", range(0, LENGTH, 5))
def test_the_token_that_is_read_is_known(marked: int) -> None:
    clip, cell = clip_of(1).abs() * 0.1, np.unravel_index(marked, CELLS)
    t, h, w = (int(each) for each in cell)
    clip[0, 0] = 0
    clip[0, 0, t, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2] = 1.0
    found = explain(ReadsMark().double(), clip, methods="token-lrp", target=1)
    expected = np.zeros((1, *CELLS))
    expected[0, t, h, w] = found.logits[0, 1]
    np.testing.assert_allclose(found.signed["token-lrp"], expected, rtol=1e-12, atol=1e-15)


class Cnn(nn.Module):
    """Convolutions, batch norms and ReLUs, with a pooled classifier of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(3, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv3d(6, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, CLASSES))

    def forward(self, clip: Tensor) -> Any:
        return self.head(self.second(self.first(clip)).mean(dim=(2, 3, 4)))


@pytest.mark.parametrize("layer", [None, "first", "first.0"])
def test_of_a_relu_network_it_is_hirescam(layer: str | None) -> None:
    torch.manual_seed(0)
    net, clip = Cnn().double().eval(), clip_of(2)
    found = explain(net, clip, methods=["hirescam", *METHODS], target=1, layer=layer)
    for method in METHODS:
        np.testing.assert_allclose(found.volumes[method], found.volumes["hirescam"], rtol=1e-10, atol=1e-14)
    assert explain(net, clip).methods == ("gradcam",)


def test_is_the_default_of_a_transformer_alone() -> None:
    net = network()
    assert explain(net, clip_of()).methods == ("token-lrp",)
    reshaped = explain(net, clip_of(), layer="blocks.0", reshape=lambda x: split(x.transpose(1, 2), 2, CELLS))
    assert reshaped.methods == ("gradcam",)


def test_a_named_layer_is_obeyed() -> None:
    """At the tokens of a mean-pooled network, the part of what follows in the score."""
    net, clip = network("joint", bias=False, has_positions=False), clip_of()
    reshape = lambda x: split(x.transpose(1, 2), 2, CELLS)  # noqa: E731
    found = explain(net, clip, methods=["token-lrp", "hirescam"], target=1, layer="norm", reshape=reshape)
    np.testing.assert_allclose(found.volumes["token-lrp"], found.volumes["hirescam"], rtol=1e-12)  # the head is linear
    deeper = explain(net, clip, methods="token-lrp", target=1, layer="blocks.0", reshape=reshape)
    np.testing.assert_allclose(deeper.signed["token-lrp"].sum(axis=(1, 2, 3)), deeper.logits[:, 1], rtol=1e-10)


def test_several_targets_and_a_contrast_add_up() -> None:
    net, clip = network(), clip_of()
    one, two, both = (
        explain(net, clip, methods="token-lrp", target=target, contrast=contrast).signed["token-lrp"]
        for target, contrast in ((0, None), (1, None), (0, 1))
    )
    np.testing.assert_allclose(both, one - two, rtol=1e-9, atol=1e-12)
    function = explain(net, clip, methods="token-lrp", target=lambda output: output[:, 0]).signed["token-lrp"]
    np.testing.assert_allclose(function, one, rtol=1e-12)


def test_a_softmax_at_the_end_is_taken_off() -> None:
    net = network()
    ended = nn.Sequential(net, nn.Softmax(dim=1))
    np.testing.assert_allclose(relevance(ended, clip_of()), relevance(net, clip_of()), rtol=1e-9, atol=1e-13)


def test_the_network_is_left_as_it_was() -> None:
    net, clip = network().train(), clip_of()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    explain(net, clip, methods=[*METHODS, "hirescam"], layer="patches")
    explain(net, clip)
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert torch._C._len_torch_function_stack() == 0
    assert torch.is_grad_enabled()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_gradcam_plus_plus_is_flagged_where_activations_are_negative() -> None:
    net, clip = network().float(), clip_of().float()
    net.head.weight.data *= 50
    signed = explain(net, clip, methods="gradcam++", layer="patches")
    assert signed.alpha["gradcam++"].positive.max() > 1 or signed.alpha["gradcam++"].positive.min() < 0
    assert any("gradcam++ is not to be trusted" in note for note in signed.notes)
    torch.manual_seed(0)
    rectified = explain(Cnn().eval(), clip, methods="gradcam++", layer="second")
    assert not any("trusted" in note for note in rectified.notes)


def test_a_clip_whose_patches_are_zero_shows_a_transformer_too() -> None:
    """As of a flat grey clip that the scaling makes 0."""
    net = network()
    with torch.no_grad():
        assert net.patches.bias is not None
        net.patches.bias.zero_()
    assert is_transformer(net, torch.zeros_like(clip_of(1)), MapRequest())
    assert not is_transformer(Cnn().double().eval(), clip_of(1), MapRequest())


def test_another_score_under_the_rules_is_told() -> None:
    """A network that is no function of its clip scores otherwise in the pass of relevance."""

    class Drifting(TokenNetwork):
        def forward(self, clip: Tensor) -> Tensor:
            runs.append(1)
            return super().forward(clip) + len(runs)

    runs = list[int]()
    torch.manual_seed(0)
    drifting = Drifting().double().eval()
    options: dict[str, Any] = {"methods": ["gradcam", "token-lrp"], "layer": "patches", "target": 1}
    notes = {net: explain(net, clip_of(), **options).notes for net in (drifting, network())}
    told = [sum("off in the pass of token-lrp" in note for note in each) for each in notes.values()]
    assert told == [1, 0]
